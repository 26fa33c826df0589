import type { HostEvent } from '#protocol/engine-host.ts';
import { imagesOf, type JobOrigin } from '#protocol/job.ts';
import { expect, it } from 'vitest';
import { colourOf, FakeEngine } from '../../support/fake-engine.ts';
import { startFakeLibrary } from '../../support/fake-library.ts';
import { TEST_MODEL } from '../../support/fake-host.ts';
import { openHostAround, type HostTab } from '../../support/host-around.ts';
import { meanColour } from '../../support/images.ts';
import { textToImage } from '../../support/jobs.ts';

const ofApp: JobOrigin = { client: 'app', requestKey: null };
const INSTALLED = { stage: 'installed', installedAt: 0 } as const;

async function openTab({ database, stepMs = 0 }: { database?: string; stepMs?: number } = {}) {
  const engine = new FakeEngine({ stepMs });
  const tab = await openHostAround({
    startEngine: () => engine.startThread(),
    library: startFakeLibrary({ packs: [{ pack: TEST_MODEL.pack, state: INSTALLED }] }),
    ...(database !== undefined && { database }),
  });
  const events: HostEvent[] = [];
  await tab.host.watch((event) => events.push(event));
  return { ...tab, galleryEvents: () => events.filter((event) => event.type === 'gallery') };
}

const job = (...seeds: readonly bigint[]) =>
  textToImage({ prompt: 'a red apple', seeds, width: 16, height: 8, steps: 1 });

async function generate({ host }: Pick<HostTab, 'host'>, id: string, ...seeds: readonly bigint[]) {
  await host.submit(id, job(...seeds), ofApp);
  return host.wait(id);
}

it('pages through the images of all jobs, newest first', async () => {
  const tab = await openTab();
  for (let index = 0; index < 5; index++) await generate(tab, `job ${String(index)}`, BigInt(index), 9n);
  const ids: string[] = [];
  let next: string | undefined;
  do {
    const page = await tab.host.gallery(4, next);
    expect(page.total).toBe(10);
    ids.push(...page.items.map(({ id }) => id));
    next = page.next ?? undefined;
  } while (next !== undefined);
  expect(ids).toEqual([4, 3, 2, 1, 0].flatMap((index) => [1, 0].map((image) => `job ${index}/${image}`)));
  await expect(tab.host.gallery(4, 'nonsense')).rejects.toMatchObject({ code: 'invalid_request' });
});

it('has the files of a job, and tells of each image as it is stored', async () => {
  const tab = await openTab();
  const record = await generate(tab, '1', 0x0000ffn, 0xff0000n);
  expect(record.result?.artifacts).toHaveLength(2);
  const images = await tab.host.images('1');
  expect(images.map(({ id, seed, width, prompt }) => [id, seed, width, prompt])).toEqual([
    ['1/0', '255', 16, 'a red apple'],
    ['1/1', '16711680', 16, 'a red apple'],
  ]);
  for (const { blob, seed } of images) {
    const png = new Uint8Array(await blob.arrayBuffer());
    expect(meanColour(png, () => true)).toEqual(colourOf(BigInt(seed)));
  }
  expect(tab.galleryEvents()).toMatchObject([
    { added: [{ id: '1/0' }], removed: [] },
    { added: [{ id: '1/1' }], removed: [] },
  ]);
  expect(await tab.host.images('unknown')).toEqual([]);
});

it('deletes an image, and its job with the last one', async () => {
  const tab = await openTab();
  await generate(tab, '1', 1n, 2n);
  await tab.host.publishFiles('1', ['2026-01-31/a-0.png', '2026-01-31/a-1.png']);
  await tab.host.removeGalleryItem('1/0');
  expect(await tab.host.file('2026-01-31/a-0.png')).toBeUndefined();
  expect((await tab.host.file('2026-01-31/a-1.png'))?.size).toBeGreaterThan(0);
  const left = (await tab.host.job('1'))?.result ?? null;
  expect(imagesOf(left).map(({ index }) => index)).toEqual([1]);
  expect(tab.galleryEvents().at(-1)).toMatchObject({ added: [], removed: ['1/0'] });
  await tab.host.removeGalleryItem('1/1');
  expect(await tab.host.job('1')).toBeUndefined();
  expect(await tab.host.gallery(9)).toEqual({ items: [], next: null, total: 0 });
  expect(await tab.host.file('2026-01-31/a-1.png')).toBeUndefined();
  await tab.host.removeGalleryItem('1/1');
});

it('deletes the images of a deleted job', async () => {
  const tab = await openTab();
  await generate(tab, '1', 1n, 2n);
  await generate(tab, '2', 3n);
  expect(await tab.host.removeJob('1')).toBe(true);
  expect((await tab.host.gallery(9)).items.map(({ id }) => id)).toEqual(['2/0']);
  expect(tab.galleryEvents().at(-1)).toMatchObject({ removed: ['1/0', '1/1'] });
});

it('has an unfinished job’s images once, though the next tab runs it again', async () => {
  const first = await openTab({ stepMs: 20 });
  await first.host.submit('1', job(1n, 2n, 3n), ofApp);
  await expect.poll(async () => (await first.host.gallery(9)).total).toBeGreaterThan(0);
  first.close();
  const second = await openTab({ database: first.database });
  const record = await second.host.wait('1');
  expect(record).toMatchObject({ stage: 'done', attempts: 2 });
  expect((await second.host.images('1')).map(({ seed }) => seed)).toEqual(['1', '2', '3']);
  expect((await second.host.gallery(9)).total).toBe(3);
});
