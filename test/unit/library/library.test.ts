import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { ModelPack, ModelState } from '#protocol/model.ts';
import type { OnPackState } from '#protocol/library-worker.ts';
import { openModelFiles, type ModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveFolder, type StaticServer } from '../../support/server.ts';

const MEBIBYTE = 1024 * 1024;
const CONFIG = 'unet/config.json';
const WEIGHTS = 'unet/model.onnx';
const servedWeights = `/tiny/${WEIGHTS}`;
const WEIGHT_BYTES = 10 * MEBIBYTE + 123;

/** Bytes that repeat at no power of two, so that none can stand in for others. */
const contents = {
  [CONFIG]: Buffer.from('{"sample_size": 16}\n'),
  [WEIGHTS]: Buffer.from(Uint8Array.from({ length: WEIGHT_BYTES }, (_, index) => (index * 7) % 251)),
};

const pack: ModelPack = {
  ...packs['emoji-mini'],
  id: 'tiny',
  title: 'Tiny',
  url: 'tiny/',
  files: Object.entries(contents).map(([name, bytes]) => ({
    path: name,
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  })),
};

let folder: string;
let server: StaticServer;
let files: ModelFiles;
let states: ModelState[];
let databases = 0;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'library-'));
  await mkdir(path.join(folder, 'tiny/unet'), { recursive: true });
  for (const [name, bytes] of Object.entries(contents))
    await writeFile(path.join(folder, 'tiny', name), bytes);
  server = await serveFolder(folder);
  files = openModelFiles(`models-${String(databases++)}`);
  states = [];
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const openLibrary = (known: ModelPack = pack) =>
  createLibrary({
    packs: [known],
    files,
    imported: openImportedPacks(`packs-${String(databases)}`),
    base: `${server.origin}/`,
    estimate: () => Promise.resolve({}),
  });
const stateOf = async (known?: ModelPack) => (await openLibrary(known).list())[0]?.state;
const tell: OnPackState = (_, state) => void states.push(state);

async function storedBytes(name: string): Promise<Buffer | undefined> {
  const blob = await files.open(pack.id, name);
  return blob && Buffer.from(await blob.arrayBuffer());
}

/** Installs, and does something when the weights have reached so many bytes and the rest takes longer than the test. */
function installUntil(bytes: number, then: (library: ReturnType<typeof openLibrary>) => unknown) {
  server.slowOnce(servedWeights, bytes + MEBIBYTE);
  const library = openLibrary();
  let done = false;
  return library.install(pack.id, (changed, state) => {
    tell(changed, state);
    if (done || state.stage !== 'downloading' || state.receivedBytes < bytes) return;
    done = true;
    void then(library);
  });
}

describe('an install', () => {
  it('brings every file and says how far it is', async () => {
    expect(await stateOf()).toEqual({ stage: 'absent' });
    await openLibrary().install(pack.id, tell);
    for (const [name, bytes] of Object.entries(contents))
      expect((await storedBytes(name))?.equals(bytes)).toBe(true);
    expect(await stateOf()).toMatchObject({ stage: 'installed' });
    expect(server.requests).toEqual(
      pack.files.map((file) => ({
        path: `/tiny/${file.path}`,
        range: null,
        status: 200,
        bytes: file.sizeBytes,
      })),
    );

    const totalBytes = contents[CONFIG].length + WEIGHT_BYTES;
    const received = states.flatMap((state) => (state.stage === 'downloading' ? state.receivedBytes : []));
    expect(received).toEqual(received.toSorted((a, b) => a - b));
    expect(received.at(-1)).toBe(totalBytes);
    expect(states.flatMap((state) => (state.stage === 'verifying' ? state.file : []))).toEqual([
      CONFIG,
      WEIGHTS,
    ]);
    expect(states.at(-1)).toMatchObject({ stage: 'installed' });
  });

  it('asks for nothing that is here already', async () => {
    await openLibrary().install(pack.id, tell);
    const before = server.requests.length;
    await openLibrary().install(pack.id, tell);
    expect(server.requests).toHaveLength(before);
    expect(states.at(-1)).toMatchObject({ stage: 'installed' });
  });

  it('of a newer version, which the app says there is, brings the files that changed', async () => {
    await openLibrary().install(pack.id, tell);
    const bytes = Buffer.from('{"sample_size": 32}\n');
    await writeFile(path.join(folder, 'tiny', CONFIG), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const newer: ModelPack = {
      ...pack,
      files: pack.files.map((file) =>
        file.path === CONFIG ? { ...file, sizeBytes: bytes.length, sha256 } : file,
      ),
    };
    expect(await stateOf(newer)).toMatchObject({
      stage: 'failed',
      message: 'This app comes with a newer version of it than the one stored here.',
      receivedBytes: WEIGHT_BYTES,
    });
    const before = server.requests.length;
    await openLibrary(newer).install(pack.id, tell);
    expect(server.requests.slice(before).map(({ path: asked }) => asked)).toEqual([`/tiny/${CONFIG}`]);
    expect((await storedBytes(CONFIG))?.equals(bytes)).toBe(true);
    expect(await stateOf(newer)).toMatchObject({ stage: 'installed' });
  });

  it('goes on at the byte where the connection broke', async () => {
    server.cutOnce(servedWeights, 6 * MEBIBYTE + 7);
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'download_failed',
      detail: { file: WEIGHTS, receivedBytes: 6 * MEBIBYTE + 7 },
    });
    const receivedBytes = contents[CONFIG].length + 6 * MEBIBYTE + 7;
    expect(states.at(-1)).toMatchObject({ stage: 'failed', receivedBytes });
    expect(await stateOf()).toMatchObject({ stage: 'failed', receivedBytes });
    expect(await storedBytes(WEIGHTS)).toBeUndefined();

    await openLibrary().install(pack.id, tell);
    expect(server.requests.at(-1)).toEqual({
      path: servedWeights,
      range: `bytes=${String(6 * MEBIBYTE + 7)}-`,
      status: 206,
      bytes: WEIGHT_BYTES - 6 * MEBIBYTE - 7,
    });
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('starts a file again where the server knows no ranges', async () => {
    server.cutOnce(servedWeights, 5 * MEBIBYTE);
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({ code: 'download_failed' });
    server.ignoreRanges();
    await openLibrary().install(pack.id, tell);
    expect(server.requests.at(-1)).toMatchObject({ range: `bytes=${String(5 * MEBIBYTE)}-`, status: 200 });
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('names a file with a wrong hash and does not keep it', async () => {
    server.corrupt(servedWeights);
    const { sha256: expected } = pack.files[1] ?? {};
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'integrity_failed',
      message: expect.stringContaining(WEIGHTS) as string,
      detail: { file: WEIGHTS, expected },
    });
    expect(await files.stored(pack.id, WEIGHTS)).toBeUndefined();
    expect(states.at(-1)).toMatchObject({ stage: 'failed', receivedBytes: contents[CONFIG].length });

    server.corrupt(null);
    await openLibrary().install(pack.id, tell);
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('keeps what came of a file that is too short, until the server has the rest', async () => {
    const file = path.join(folder, 'tiny', WEIGHTS);
    await truncate(file, 3 * MEBIBYTE);
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'download_failed',
      detail: { file: WEIGHTS, receivedBytes: 3 * MEBIBYTE },
    });
    await writeFile(file, contents[WEIGHTS]);
    await openLibrary().install(pack.id, tell);
    expect(server.requests.at(-1)).toMatchObject({ range: `bytes=${String(3 * MEBIBYTE)}-`, status: 206 });
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('begins again when the server has no bytes after those that are here', async () => {
    const file = path.join(folder, 'tiny', WEIGHTS);
    await truncate(file, 3 * MEBIBYTE);
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({ code: 'download_failed' });
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'download_failed',
      detail: { file: WEIGHTS, status: 416 },
    });
    await writeFile(file, contents[WEIGHTS]);
    await openLibrary().install(pack.id, tell);
    expect(server.requests.at(-1)).toMatchObject({ range: null, status: 200 });
  });

  it('refuses a file that is longer than it should be', async () => {
    await writeFile(
      path.join(folder, 'tiny', CONFIG),
      Buffer.concat([contents[CONFIG], Buffer.from('more')]),
    );
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'integrity_failed',
      detail: { file: CONFIG },
    });
    expect(await stateOf()).toEqual({ stage: 'absent' });
  });

  it('says what the server answered', async () => {
    await rm(path.join(folder, 'tiny', WEIGHTS));
    await expect(openLibrary().install(pack.id, tell)).rejects.toMatchObject({
      code: 'download_failed',
      detail: { file: WEIGHTS, status: 404 },
    });
  });

  it('keeps what has arrived when it is cancelled', async () => {
    const stopped = installUntil(5 * MEBIBYTE, (library) => library.cancel(pack.id));
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    const stored = await files.stored(pack.id, WEIGHTS);
    const kept = stored?.pieceBytes.reduce((sum, bytes) => sum + bytes, 0) ?? 0;
    expect(kept).toBeGreaterThan(4 * MEBIBYTE);
    expect(kept).toBeLessThan(WEIGHT_BYTES);

    await openLibrary().install(pack.id, tell);
    expect(server.requests.at(-1)).toMatchObject({ range: `bytes=${String(kept)}-`, status: 206 });
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('is refused while the same pack is being installed', async () => {
    const library = openLibrary();
    const first = library.install(pack.id, tell);
    await expect(library.install(pack.id, tell)).rejects.toMatchObject({ code: 'invalid_request' });
    await first;
    expect(server.requests).toHaveLength(2);
  });

  it('knows no other packs', async () => {
    const unknown = { code: 'model_not_found', detail: { model: 'another' } };
    await expect(openLibrary().install('another', tell)).rejects.toMatchObject(unknown);
    await expect(openLibrary().remove('another')).rejects.toMatchObject(unknown);
  });

  it('drops the files that a release has no more', async () => {
    await openLibrary().install(pack.id, tell);
    const newer = { ...pack, files: pack.files.filter((file) => file.path !== CONFIG) };
    await openLibrary(newer).install(pack.id, tell);
    expect(await files.stored(pack.id, CONFIG)).toBeUndefined();
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
  });

  it('fetches the files of a pack that have changed with a release', async () => {
    await openLibrary().install(pack.id, tell);
    const bytes = Buffer.from('{"sample_size": 32}\n');
    await writeFile(path.join(folder, 'tiny', CONFIG), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const newer = {
      ...pack,
      files: pack.files.map((file) => (file.path === CONFIG ? { ...file, sha256 } : file)),
    };
    expect(await stateOf(newer)).toMatchObject({ stage: 'failed', receivedBytes: WEIGHT_BYTES });
    const before = server.requests.length;
    await openLibrary(newer).install(pack.id, tell);
    expect(server.requests.slice(before).map((request) => request.path)).toEqual([`/tiny/${CONFIG}`]);
    expect((await storedBytes(CONFIG))?.equals(bytes)).toBe(true);
  });
});

/** Installs, and does something when everything has arrived but is not yet said to be installed. */
function installAndAtTheEnd(then: (library: ReturnType<typeof openLibrary>) => unknown) {
  const library = openLibrary();
  let done = false;
  return library.install(pack.id, (changed, state) => {
    tell(changed, state);
    if (done || state.stage !== 'downloading' || state.receivedBytes < state.totalBytes) return;
    done = true;
    void then(library);
  });
}

it('an install that is stopped at its very end is not said to be installed', async () => {
  await expect(installAndAtTheEnd((library) => library.cancel(pack.id))).rejects.toMatchObject({
    code: 'cancelled',
  });
  expect(states.map(({ stage }) => stage)).not.toContain('installed');
  const before = server.requests.length;
  await openLibrary().install(pack.id, tell);
  expect(server.requests).toHaveLength(before);
});

describe('removing', () => {
  it('drops every file', async () => {
    await openLibrary().install(pack.id, tell);
    await openLibrary().remove(pack.id);
    expect(await stateOf()).toEqual({ stage: 'absent' });
    for (const name of Object.keys(contents)) expect(await files.stored(pack.id, name)).toBeUndefined();
  });

  it('lets the pack be installed again', async () => {
    await openLibrary().install(pack.id, tell);
    await openLibrary().remove(pack.id);
    await openLibrary().install(pack.id, tell);
    expect((await storedBytes(WEIGHTS))?.equals(contents[WEIGHTS])).toBe(true);
    expect(await stateOf()).toMatchObject({ stage: 'installed' });
  });

  it('stops a running install, of which nothing stays', async () => {
    const removed: Promise<void>[] = [];
    const stopped = installUntil(5 * MEBIBYTE, (library) =>
      removed.push(Promise.resolve(library.remove(pack.id))),
    );
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(removed).toHaveLength(1);
    await Promise.all(removed);
    expect(await files.stored(pack.id, WEIGHTS)).toBeUndefined();
    expect(await stateOf()).toEqual({ stage: 'absent' });
  });

  it('at the very end of an install leaves nothing either', async () => {
    const removed: Promise<void>[] = [];
    const stopped = installAndAtTheEnd((library) => removed.push(Promise.resolve(library.remove(pack.id))));
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    await Promise.all(removed);
    expect(states.map(({ stage }) => stage)).not.toContain('installed');
    expect(await stateOf()).toEqual({ stage: 'absent' });
  });
});
