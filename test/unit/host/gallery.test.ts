import type { HostEvent } from '#protocol/engine-host.ts';
import { BIN_MS } from '#protocol/gallery.ts';
import { imagesOf, type GenerateJob, type JobOrigin } from '#protocol/job.ts';
import { openImageMarks } from '#storage/image-marks.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { describe, expect, it } from 'vitest';
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

describe('the bin', () => {
  it('keeps deleted images and their job for everyone but the gallery to miss, until they are restored', async () => {
    const tab = await openTab();
    await generate(tab, '1', 1n, 2n);
    await tab.host.publishFiles('1', ['2026-01-31/a-0.png', '2026-01-31/a-1.png']);
    await tab.host.deleteImages(['1/0']);
    expect(imagesOf((await tab.host.job('1'))?.result ?? null).map(({ index }) => index)).toEqual([1]);
    expect(await tab.host.images('1')).toHaveLength(1);
    await tab.host.deleteImages(['1/1']);
    expect(await tab.host.job('1')).toBeUndefined();
    expect(await tab.host.jobs()).toEqual([]);
    expect(await tab.host.jobIds('app')).toEqual([]);
    expect(await tab.host.file('2026-01-31/a-1.png')).toBeUndefined();
    expect(await tab.host.gallery(9)).toEqual({ items: [], next: null, total: 0 });
    expect((await tab.host.gallery(9, undefined, { deleted: true })).items.map(({ id }) => id)).toEqual([
      '1/1',
      '1/0',
    ]);

    expect(await tab.host.restoreImages(['1/0', '1/1', '1/7'])).toEqual(['1/1', '1/0']);
    expect((await tab.host.gallery(9)).total).toBe(2);
    expect(imagesOf((await tab.host.job('1'))?.result ?? null)).toHaveLength(2);
    expect(await tab.host.jobIds('app')).toEqual(['1']);
    expect((await tab.host.file('2026-01-31/a-1.png'))?.size).toBeGreaterThan(0);
    expect(tab.galleryEvents().at(-1)).toMatchObject({ added: [{ id: '1/1' }, { id: '1/0' }], removed: [] });
  });

  it('is there for the next tab, which deletes for good what was in it for a day', async () => {
    const first = await openTab();
    await generate(first, '1', 1n, 2n);
    await generate(first, '2', 3n);
    await generate(first, '3', 4n);
    await first.host.deleteImages(['1/0', '2/0', '3/0']);
    first.close();
    const marks = openImageMarks(`${first.database}-marks`);
    const yesterday = Date.now() - BIN_MS - 1000;
    for (const id of ['1/0', '2/0']) await marks.put(id, { favourite: false, deletedAt: yesterday });

    const second = await openTab({ database: first.database });
    const inBin = async () => (await second.host.gallery(9, undefined, { deleted: true })).items;
    await expect.poll(async () => (await inBin()).map(({ id }) => id)).toEqual(['3/0']);
    expect(await second.host.restoreImages(['1/0', '2/0'])).toEqual([]);
    expect(imagesOf((await second.host.job('1'))?.result ?? null).map(({ index }) => index)).toEqual([1]);
    expect(await openJobs(`${first.database}-jobs`).get('2')).toBeUndefined();
    expect(await second.host.job('3')).toBeUndefined();
    await second.host.restoreImages(['3/0']);
    expect(await second.host.job('3')).toBeDefined();
  });

  it('is emptied: of some images, then of all', async () => {
    const tab = await openTab();
    await generate(tab, '1', 1n, 2n, 3n);
    await tab.host.deleteImages(['1/0', '1/1', '1/2']);
    await tab.host.emptyBin(['1/1', 'unknown/0']);
    expect(await tab.host.galleryIds({ deleted: true })).toEqual(['1/2', '1/0']);
    await tab.host.emptyBin();
    expect(await tab.host.galleryIds({ deleted: true })).toEqual([]);
    expect(await openJobs(`${tab.database}-jobs`).get('1')).toBeUndefined();
    expect(await openImages(`${tab.database}-images`).count()).toBe(0);
  });

  it('takes no image of a job that runs, and with it none of the others', async () => {
    const tab = await openTab({ stepMs: 50 });
    await generate(tab, '1', 1n);
    await tab.host.submit('2', job(1n, 2n, 3n), ofApp);
    await expect.poll(async () => (await tab.host.images('2')).length).toBeGreaterThan(0);
    await expect(tab.host.deleteImages(['1/0', '2/0'])).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await tab.host.galleryIds({ deleted: true })).toEqual([]);
  });

  it('goes with a job that is deleted', async () => {
    const tab = await openTab();
    await generate(tab, '1', 1n, 2n);
    await tab.host.deleteImages(['1/0']);
    expect(await tab.host.removeJob('1')).toBe(true);
    expect(await tab.host.galleryIds({ deleted: true })).toEqual([]);
    await generate(tab, '2', 1n);
    await tab.host.deleteImages(['2/0']);
    expect(await tab.host.removeJob('2')).toBe(false);
  });
});

describe('searching', () => {
  async function openMixed() {
    const tab = await openTab();
    const prompts = ['A red apple', 'a green pear', 'red wine, an apple'];
    for (const [index, prompt] of prompts.entries()) {
      const text = textToImage({ prompt, seeds: [1n], width: 16, height: 8, steps: 1 });
      const made: GenerateJob =
        index === 1
          ? { ...text, init: { from: 'image', images: [new Blob()], fit: 'stretch', rules: 'diffusers' } }
          : text;
      await tab.host.submit(String(index), made, ofApp);
      await tab.host.wait(String(index));
    }
    return tab;
  }

  it('finds words of the prompt in any order, the checkpoint and the kind', async () => {
    const { host } = await openMixed();
    expect(await host.galleryIds({ text: 'APPLE red' })).toEqual(['2/0', '0/0']);
    expect(await host.galleryIds({ text: 'apple', oldestFirst: true })).toEqual(['0/0', '2/0']);
    expect(await host.galleryIds({ kind: 'image' })).toEqual(['1/0']);
    expect(await host.galleryIds({ kind: 'text', text: 'wine' })).toEqual(['2/0']);
    expect(await host.galleryModels()).toEqual([TEST_MODEL.pack.id]);
    expect(await host.galleryIds({ model: TEST_MODEL.pack.id })).toHaveLength(3);
    expect(await host.galleryIds({ model: 'another' })).toEqual([]);
    const page = await host.gallery(1, undefined, { text: 'apple' });
    expect(page).toMatchObject({ items: [{ id: '2/0', kind: 'text', favourite: false }], total: 2 });
    expect((await host.gallery(1, page.next ?? '', { text: 'apple' })).items.map(({ id }) => id)).toEqual([
      '0/0',
    ]);
  });

  it('finds favourites, which the next tab knows too', async () => {
    const tab = await openMixed();
    await tab.host.setFavourite('0/0', true);
    await tab.host.setFavourite('1/0', true);
    await tab.host.setFavourite('1/0', false);
    await tab.host.setFavourite('unknown/0', true);
    expect(await tab.host.galleryIds({ favourites: true })).toEqual(['0/0']);
    tab.close();
    const { host } = await openTab({ database: tab.database });
    expect((await host.gallery(9, undefined, { favourites: true })).items).toMatchObject([
      { id: '0/0', favourite: true },
    ]);
    await host.deleteImages(['0/0']);
    expect(await host.galleryIds({ favourites: true })).toEqual([]);
    await host.restoreImages(['0/0']);
    expect(await host.galleryItem('0/0')).toMatchObject({ favourite: true });
  });

  it('pages from the oldest on', async () => {
    const { host } = await openMixed();
    const first = await host.gallery(2, undefined, { oldestFirst: true });
    expect(first.items.map(({ id }) => id)).toEqual(['0/0', '1/0']);
    expect(first.total).toBe(3);
    const second = await host.gallery(2, first.next ?? '', { oldestFirst: true });
    expect(second).toMatchObject({ items: [{ id: '2/0' }], next: null });
  });
});
