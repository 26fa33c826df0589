import { createStore, get, keys, set } from 'idb-keyval';
import { imagesOf } from '#protocol/job.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { moveOldRecords, openOldRecords, type OldRecord } from '#storage/old-records.ts';
import { expect, it, vi } from 'vitest';

let databases = 0;

function openAll() {
  const name = String(databases++);
  return {
    old: openOldRecords(`old-${name}`),
    oldStore: createStore(`old-${name}`, 'jobs'),
    jobs: openJobs(`moved-jobs-${name}`),
    images: openImages(`moved-images-${name}`),
  };
}

/** A finished job with two images, as version 0.1 stored it. */
const finished: OldRecord = {
  id: 'finished',
  origin: { client: 'a1111', requestKey: null },
  stage: 'done',
  queuedAt: 1000,
  startedAt: 2000,
  finishedAt: 3000,
  attempts: 1,
  progress: null,
  error: null,
  job: {
    task: 'txt2img',
    model: 'emoji-mini',
    vae: 'clear',
    images: [7n, 8n].map((seed) => ({ prompt: ['a red', 'apple'], negativePrompt: [''], seed, subseed: 0n })),
    batchSize: 2,
    width: 256,
    height: 320,
    steps: 12,
    guidanceScale: 5,
    sampler: { family: 'diffusers', scheduler: 'DDIMScheduler', config: {} },
    noise: { source: 'philox', subseedStrength: 0, etaNoiseSeedDelta: 0 },
    promptOptions: { syntax: 'a1111', emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 },
    graphs: { tiling: true },
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  },
  result: {
    images: [7n, 8n].map((seed, index) => ({
      index,
      blob: new Blob([`file ${String(index)}`]),
      width: 256,
      height: 320,
      seed,
      subseed: 0n,
      prompt: ['a red', 'apple'],
      negativePrompt: [''],
      infotext: `a red apple\nSeed: ${seed}`,
    })),
    interrupted: false,
    seconds: 4,
    notes: ['The prompt was cut off.'],
  },
};

it('keeps jobs and their images of the version before', async () => {
  const { old, oldStore, jobs, images } = openAll();
  await set('finished', finished, oldStore);
  await moveOldRecords(old, jobs, images);
  const record = await jobs.get('finished');
  expect(record).toMatchObject({
    stage: 'done',
    origin: { client: 'a1111' },
    job: {
      task: 'generate',
      init: { from: 'noise' },
      passes: [
        {
          model: 'emoji-mini',
          vae: 'clear',
          size: { width: 256, height: 320 },
          steps: 12,
          strength: 1,
          guidanceScale: 5,
          graph: { tiling: true },
        },
      ],
      post: [],
      batchSize: 2,
    },
    result: { seconds: 4, notes: ['The prompt was cut off.'] },
  });
  expect(record?.job).not.toHaveProperty('model');
  expect(imagesOf(record?.result ?? null).map(({ index, seed }) => [index, seed])).toEqual([
    [0, 7n],
    [1, 8n],
  ]);
  const listed = await images.keys({ accept: () => true });
  const stored = await images.getMany(listed.map(([, , id]) => id));
  expect(stored).toMatchObject([
    { id: 'finished/1', createdAt: 3000, seed: '8', prompt: 'a red apple', client: 'a1111' },
    { id: 'finished/0', seed: '7', infotext: 'a red apple\nSeed: 7' },
  ]);
  expect(await stored[1]?.blob.text()).toBe('file 0');
  expect(await keys(oldStore)).toEqual([]);
});

it('turns init images, masks and upscalings into what they are now', async () => {
  const { old, oldStore, jobs, images } = openAll();
  const init = { image: new Blob(['init']), strength: 0.6, exactSteps: true };
  const waiting = { ...finished, stage: 'queued', result: null } as const;
  await set('a', { ...waiting, id: 'a', job: { ...finished.job, task: 'img2img', init } }, oldStore);
  const inpaint = { ...finished.job, task: 'inpaint', init, mask: new Blob(['mask']) };
  await set('b', { ...waiting, id: 'b', job: inpaint }, oldStore);
  const upscale = {
    task: 'upscale',
    sources: [{ image: new Blob(['small']) }],
    upscaler: 'Lanczos',
    second: { upscaler: 'Nearest', visibility: 0.5 },
    size: { factor: 2 },
    output: { format: 'png', quality: 1, texts: true },
  };
  await set('c', { ...waiting, id: 'c', job: upscale }, oldStore);
  await moveOldRecords(old, jobs, images);
  const imageInit = { images: [expect.any(Blob)], fit: 'stretch' };
  const passes = [{ strength: 0.6, exactSteps: true }];
  expect((await jobs.get('a'))?.job).toMatchObject({ init: { from: 'image', ...imageInit }, passes });
  expect((await jobs.get('b'))?.job).toMatchObject({
    init: { from: 'masked', mask: { kind: 'image', mask: expect.any(Blob) as Blob }, ...imageInit },
    passes,
  });
  const { second, size } = upscale;
  expect((await jobs.get('c'))?.job).toEqual({
    task: 'upscale',
    sources: [{ image: expect.any(Blob) as Blob }],
    post: [{ kind: 'upscale', upscaler: 'Lanczos', second, size }],
    output: upscale.output,
  });
});

it('drops what it cannot read, says so, and goes on', async () => {
  const { old, oldStore, jobs, images } = openAll();
  await set('broken', { id: 'broken', result: { images: [{}] }, queuedAt: 1 }, oldStore);
  await set('finished', finished, oldStore);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  try {
    await moveOldRecords(old, jobs, images);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('broken'), expect.anything());
  } finally {
    warn.mockRestore();
  }
  expect((await jobs.all()).map(({ id }) => id)).toEqual(['finished']);
  expect(await keys(oldStore)).toEqual([]);
});

it('leaves what storage has no room for until the next start', async () => {
  const { old, oldStore, jobs, images } = openAll();
  await set('finished', finished, oldStore);
  const full = new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  await moveOldRecords(old, jobs, { ...images, put: () => Promise.reject(full) });
  warn.mockRestore();
  expect(await get('finished', oldStore)).toBeDefined();
  expect(await jobs.all()).toEqual([]);
  await moveOldRecords(old, jobs, images);
  expect(await images.count()).toBe(2);
});
