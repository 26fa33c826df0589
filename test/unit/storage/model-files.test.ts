import 'fake-indexeddb/auto';
import type { PackFile } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { createStore, del, keys } from 'idb-keyval';
import { expect, it } from 'vitest';

const file: PackFile = { path: 'unet/model.onnx', sizeBytes: 11, sha256: 'ab'.repeat(32) };
let databases = 0;

function openFresh() {
  const database = `model-files-${String(databases++)}`;
  return { database, files: openModelFiles(database) };
}

/** The keys below the library's own, to look for what is left over. */
const keysOf = (database: string) => keys<string>(createStore(database, 'files'));

async function write(files: ReturnType<typeof openModelFiles>, model: string, pieces: readonly string[]) {
  let stored = await files.begin(model, file);
  for (const piece of pieces) stored = await files.append(model, file.path, stored, new Blob([piece]));
  return stored;
}

it('keeps a file in pieces and gives it back as one once it is sealed', async () => {
  const { database, files } = openFresh();
  const stored = await write(files, 'tiny', ['hello', ' ', 'world']);
  expect(await files.hasAny()).toBe(true);
  expect(stored).toEqual({ sizeBytes: 11, sha256: file.sha256, pieceBytes: [5, 1, 5], verifiedAt: null });
  expect(await files.stored('tiny', file.path)).toEqual(stored);
  expect(await (await files.received('tiny', file.path))?.text()).toBe('hello world');
  expect(await files.open('tiny', file.path)).toBeUndefined();

  await files.seal('tiny', file.path, stored);
  expect(await (await files.open('tiny', file.path))?.text()).toBe('hello world');
  // Another tab, another day.
  expect(await (await openModelFiles(database).open('tiny', file.path))?.text()).toBe('hello world');
});

it('knows nothing of files that were never begun', async () => {
  const { files } = openFresh();
  expect(await files.hasAny()).toBe(false);
  expect(await files.stored('tiny', file.path)).toBeUndefined();
  expect(await files.received('tiny', file.path)).toBeUndefined();
  expect(await files.open('tiny', file.path)).toBeUndefined();
  await files.remove('tiny', file.path);
});

it('drops what was there when a file is begun again', async () => {
  const { database, files } = openFresh();
  await files.seal('tiny', file.path, await write(files, 'tiny', ['old', 'er', 'file']));
  await files.begin('tiny', file);
  expect(await (await files.received('tiny', file.path))?.text()).toBe('');
  expect(await files.open('tiny', file.path)).toBeUndefined();
  expect(await keysOf(database)).toEqual(['tiny/unet/model.onnx']);
});

it('gives no file with holes', async () => {
  const { database, files } = openFresh();
  await files.seal('tiny', file.path, await write(files, 'tiny', ['hello', ' ', 'world']));
  await del('tiny/unet/model.onnx#1', createStore(database, 'files'));
  expect(await files.received('tiny', file.path)).toBeUndefined();
  expect(await files.open('tiny', file.path)).toBeUndefined();
});

it('removes one file with its pieces and leaves the others', async () => {
  const { database, files } = openFresh();
  await write(files, 'tiny', ['hello']);
  await write(files, 'other', ['world']);
  await files.remove('tiny', file.path);
  expect((await keysOf(database)).toSorted()).toEqual(['other/unet/model.onnx', 'other/unet/model.onnx#0']);
});

it('removes a model whole, also pieces whose record is gone', async () => {
  const { database, files } = openFresh();
  await write(files, 'tiny', ['hello', ' ', 'world']);
  await write(files, 'tiny-2', ['world']);
  // As when a tab was closed in the middle of `remove`.
  await del('tiny/unet/model.onnx', createStore(database, 'files'));
  expect(await keysOf(database)).toContain('tiny/unet/model.onnx#2');
  await files.removeModel('tiny');
  expect((await keysOf(database)).toSorted()).toEqual(['tiny-2/unet/model.onnx', 'tiny-2/unet/model.onnx#0']);
});
