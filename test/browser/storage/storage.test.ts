import { createStore, del, keys } from 'idb-keyval';
import { expect, test } from 'vitest';
import { openEncodedChunks } from '#storage/encoded-chunks.ts';
import { openModelFiles } from '#storage/model-files.ts';

const MODEL = 'emoji-mini';
const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);
const file = { path: 'unet/model.onnx', sizeBytes: bytes.length, sha256: 'f'.repeat(64) };
/** Where the file is cut: nowhere near a round number, so that reads cross the seams. */
const SEAMS = [0, 1, 1003, 4096, bytes.length];
const pieces = SEAMS.slice(1).map((end, i) => new Blob([bytes.slice(SEAMS[i], end)]));

let databases = 0;
/** Real IndexedDB, another database for each test. */
const freshDatabase = () => `test-${Date.now()}-${databases++}`;

async function contents(blob: Blob | undefined): Promise<number[] | undefined> {
  return blob && [...new Uint8Array(await blob.arrayBuffer())];
}

/** Stores the first so many pieces. */
async function receive(database: string, count = pieces.length) {
  const files = openModelFiles(database);
  let stored = await files.begin(MODEL, file);
  for (const piece of pieces.slice(0, count)) stored = await files.append(MODEL, file.path, stored, piece);
  return { files, stored };
}

test('a file arrives in pieces and opens as one Blob once it is sealed', async () => {
  const database = freshDatabase();
  const { files, stored } = await receive(database);
  expect(await files.open(MODEL, file.path)).toBeUndefined();
  await files.seal(MODEL, file.path, stored);
  const blob = await openModelFiles(database).open(MODEL, file.path);
  expect(blob?.size).toBe(bytes.length);
  expect(await contents(blob)).toEqual([...bytes]);
});

test('reads across the seams of the pieces give the bytes of the file', async () => {
  const { files, stored } = await receive(freshDatabase());
  await files.seal(MODEL, file.path, stored);
  const blob = await files.open(MODEL, file.path);
  for (const [start, end] of [
    [0, 2],
    [1000, 1010],
    [1, 4097],
    [4095, 4097],
    [4990, 5000],
  ] as const) {
    expect(await contents(blob?.slice(start, end))).toEqual([...bytes.slice(start, end)]);
  }
  // As the engine reads weights that are too large for one array.
  const streamed: number[] = [];
  await blob?.stream().pipeTo(new WritableStream({ write: (chunk) => void streamed.push(...chunk) }));
  expect(streamed).toEqual([...bytes]);
});

test('a tab that opens later resumes where the last piece ended', async () => {
  const database = freshDatabase();
  await receive(database, 2);
  const later = openModelFiles(database);
  const stored = await later.stored(MODEL, file.path);
  expect(stored).toMatchObject({ sha256: file.sha256, pieceBytes: [1, 1002], verifiedAt: null });
  expect(await contents(await later.received(MODEL, file.path))).toEqual([...bytes.slice(0, 1003)]);
  if (!stored) return;
  let grown = stored;
  for (const piece of pieces.slice(2)) grown = await later.append(MODEL, file.path, grown, piece);
  await later.seal(MODEL, file.path, grown);
  expect(await contents(await later.open(MODEL, file.path))).toEqual([...bytes]);
});

test('a file with a hole is not handed out, even when it was sealed', async () => {
  const database = freshDatabase();
  const { files, stored } = await receive(database);
  await files.seal(MODEL, file.path, stored);
  const store = createStore(database, 'files');
  await del(`${MODEL}/${file.path}#2`, store);
  expect(await files.received(MODEL, file.path)).toBeUndefined();
  expect(await files.open(MODEL, file.path)).toBeUndefined();
});

test('beginning again drops what had arrived', async () => {
  const { files } = await receive(freshDatabase(), 3);
  expect((await files.begin(MODEL, file)).pieceBytes).toEqual([]);
  expect((await files.received(MODEL, file.path))?.size).toBe(0);
});

test('removing leaves nothing of a file, and other models alone', async () => {
  const database = freshDatabase();
  const { files } = await receive(database, 2);
  const other = await files.begin('emoji-mini-2', file);
  await files.seal(
    'emoji-mini-2',
    file.path,
    await files.append('emoji-mini-2', file.path, other, new Blob([bytes])),
  );
  await files.remove(MODEL, file.path);
  const store = createStore(database, 'files');
  expect(await keys(store)).toEqual([`emoji-mini-2/${file.path}`, `emoji-mini-2/${file.path}#0`]);

  await files.append(MODEL, file.path, await files.begin(MODEL, file), new Blob(['orphan']));
  await del(`${MODEL}/${file.path}`, store);
  await files.removeModel(MODEL);
  expect(await contents(await files.open('emoji-mini-2', file.path))).toEqual([...bytes]);
  expect(await keys(store)).toHaveLength(2);
});

test('encoded chunks are there at the next visit; of too many the oldest go', async () => {
  const database = freshDatabase();
  const keyOf = (index: number) => Uint8Array.of(index).buffer;
  const chunk = (value: number) => ({ hidden: Float32Array.of(value), pooled: Float32Array.of(-value) });
  const store = openEncodedChunks(database, 3);
  for (let index = 0; index < 5; index++) {
    await store.put(keyOf(index), chunk(index));
    // Times are in milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const later = openEncodedChunks(database, 3);
  const found = await Promise.all([0, 1, 2, 3, 4].map((index) => later.get(keyOf(index))));
  expect(found).toEqual([undefined, undefined, chunk(2), chunk(3), chunk(4)]);
});
