import { imageIdOf, type StoredImage } from '#protocol/job.ts';
import { openDatabase, answerOf } from '#storage/database.ts';
import { openImages, type GalleryKey, type GalleryPosition } from '#storage/images.ts';
import { expect, it } from 'vitest';

let databases = 0;
const freshName = () => `images-of-${String(databases++)}`;

function image(jobId: string, index: number, createdAt: number): StoredImage {
  return {
    id: imageIdOf(jobId, index),
    jobId,
    index,
    client: 'app',
    createdAt,
    blob: new Blob([`${jobId} ${String(index)}`]),
    width: 64,
    height: 64,
    seed: '1',
    prompt: 'a red apple',
    infotext: '',
  };
}

const ids = (images: readonly StoredImage[]) => images.map(({ id }) => id);
const accept = () => true;
const idsOf = (keys: readonly GalleryKey[]) => keys.map(([, , id]) => id);

it('lists the newest images first, page by page', async () => {
  const images = openImages(freshName());
  await images.put(image('old', 0, 1000));
  await images.put(image('new', 0, 3000));
  // Made in the same millisecond: in the order of the job.
  for (const index of [0, 1, 10]) await images.put(image('batch', index, 2000));
  const read = async (oldestFirst: boolean) => {
    const pages: string[][] = [];
    let after: GalleryPosition | undefined;
    for (;;) {
      const keys = await images.keys({ accept, oldestFirst, after, limit: 2 });
      const last = keys.at(-1);
      if (!last) return pages;
      pages.push(idsOf(keys));
      after = [last[0], last[1], last[2]];
    }
  };
  expect(await read(false)).toEqual([['new/0', 'batch/10'], ['batch/1', 'batch/0'], ['old/0']]);
  expect(await read(true)).toEqual([['old/0', 'batch/0'], ['batch/1', 'batch/10'], ['new/0']]);
  expect(ids(await images.getMany(['old/0', 'gone/0', 'new/0']))).toEqual(['old/0', 'new/0']);
  expect(await images.count()).toBe(5);
});

it('has the images of a job in order, and deletes them together', async () => {
  const images = openImages(freshName());
  for (const index of [10, 2, 0]) await images.put(image('1', index, 1000 - index));
  await images.put(image('10', 0, 1));
  expect(ids(await images.ofJob('1'))).toEqual(['1/0', '1/2', '1/10']);
  expect(await (await images.get('1/2'))?.blob.text()).toBe('1 2');
  await images.remove('1/2');
  expect(await images.ids()).toEqual(['1/0', '1/10', '10/0']);
  await images.removeJob('1');
  expect(await images.ids()).toEqual(['10/0']);
});

it('keeps one image of an id, the one put last', async () => {
  const images = openImages(freshName());
  await images.put(image('1', 0, 1));
  await images.put({ ...image('1', 0, 2), blob: new Blob(['again']) });
  expect(await images.ids()).toEqual(['1/0']);
  expect(await (await images.get('1/0'))?.blob.text()).toBe('again');
});

it('searches prompts without reading images, those of version 1 too', async () => {
  const name = freshName();
  const before = openDatabase(name, 1, (database) => {
    const store = database.createObjectStore('images', { keyPath: 'id' });
    store.createIndex('time', ['createdAt', 'index', 'id']);
    return store;
  });
  await before('readwrite', (store) =>
    answerOf(store.put({ ...image('old', 0, 1), prompt: 'a blue whale' })),
  );
  const images = openImages(name);
  await images.put(image('new', 0, 2));
  const found = await images.keys({ accept: ([, , , prompt]) => prompt.includes('whale') });
  expect(idsOf(found)).toEqual(['old/0']);
});

it('lets go of its database when another tab upgrades it', async () => {
  const name = freshName();
  const images = openImages(name);
  await images.put(image('1', 0, 1));
  const upgraded = openDatabase(name, 3, (database) => database.createObjectStore('more'));
  expect(await upgraded('readonly', (store) => answerOf(store.count()))).toBe(1);
  // The tab of the version before says so instead of waiting.
  await expect(images.count()).rejects.toMatchObject({ name: 'VersionError' });
});
