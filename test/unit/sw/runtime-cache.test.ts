import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fromRuntimeCache, isRuntimeFile } from '#sw/runtime-cache.ts';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { serveFolder, type StaticServer } from '../../support/server.ts';

/** Browsers' cache storage, as far as it is used here: Node has none. */
function createCacheStorage(put?: () => Promise<never>) {
  const stored = new Map<string, Response>();
  const cache = {
    match: (url: string) => Promise.resolve(stored.get(url)?.clone()),
    keys: () => Promise.resolve([...stored.keys()].map((url) => new Request(url))),
    delete: (request: Request) => Promise.resolve(stored.delete(request.url)),
    put: put ?? ((url: string, response: Response) => Promise.resolve(void stored.set(url, response))),
  };
  return { storage: { open: () => Promise.resolve(cache), delete: () => Promise.resolve(false) }, stored };
}

let folder: string;
let server: StaticServer;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'runtime-'));
  server = await serveFolder(folder);
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
  await rm(folder, { recursive: true });
});

async function ask(name: string): Promise<string> {
  const response = await fromRuntimeCache(new Request(`${server.origin}/assets/${name}`));
  return response.text();
}

const namesOf = (stored: ReadonlyMap<string, Response>) =>
  [...stored.keys()].map((url) => url.split('/').at(-1));

/** Puts files of a release on the server, each holding its own name. */
async function release(...names: string[]): Promise<void> {
  await rm(path.join(folder, 'assets'), { recursive: true, force: true });
  await mkdir(path.join(folder, 'assets'));
  for (const name of names) await writeFile(path.join(folder, 'assets', name), name);
}

it("keeps ONNX Runtime's wasm files and no others", () => {
  const of = (name: string) => isRuntimeFile(new URL(name, 'http://localhost/assets/'));
  expect(of('ort-wasm-simd-threaded.jspi-Ab12Cd34.wasm')).toBe(true);
  expect(of('ort-wasm-simd-threaded.wasm?v=1')).toBe(true);
  expect(of('ort-wasm-simd-threaded.mjs')).toBe(false);
  expect(of('index-Ab12Cd34.js')).toBe(false);
});

it('keeps a file with the headers of isolation, so that it can be handed over as it is', async () => {
  const { storage } = createCacheStorage();
  vi.stubGlobal('caches', storage);
  const name = 'ort-wasm-simd-threaded.jspi-Ab12Cd34.wasm';
  await release(name);
  const request = new Request(`${server.origin}/assets/${name}`);
  for (const visit of ['first', 'second']) {
    const { headers } = await fromRuntimeCache(request);
    expect(headers.get('Cross-Origin-Embedder-Policy'), visit).toBe('require-corp');
    expect(headers.get('Content-Type'), visit).toBe('application/wasm');
  }
});

it('fetches a file once', async () => {
  const { storage } = createCacheStorage();
  vi.stubGlobal('caches', storage);
  const name = 'ort-wasm-simd-threaded.jspi-Ab12Cd34.wasm';
  await release(name);
  expect(await ask(name)).toBe(name);
  expect(await ask(name)).toBe(name);
  expect(server.requests).toHaveLength(1);
});

it("drops the same build's file of an earlier release, and only that", async () => {
  const { storage, stored } = createCacheStorage();
  vi.stubGlobal('caches', storage);
  const first = ['ort.jspi-Ab12Cd34.wasm', 'ort.webgpu-Ab12Cd34.wasm', 'ort-Ab12Cd34.wasm'];
  await release(...first);
  for (const name of first) await ask(name);
  // A hash may hold hyphens and underscores.
  await release('ort.jspi--b_2Cd-4.wasm');
  await ask('ort.jspi--b_2Cd-4.wasm');
  expect(namesOf(stored)).toEqual([
    'ort.webgpu-Ab12Cd34.wasm',
    'ort-Ab12Cd34.wasm',
    'ort.jspi--b_2Cd-4.wasm',
  ]);
});

it('keeps the files it has when a newer one is not there', async () => {
  const { storage, stored } = createCacheStorage();
  vi.stubGlobal('caches', storage);
  await release('ort.jspi-Ab12Cd34.wasm');
  await ask('ort.jspi-Ab12Cd34.wasm');
  const response = await fromRuntimeCache(new Request(`${server.origin}/assets/ort.jspi-Xy98Zw76.wasm`));
  expect(response.status).toBe(404);
  expect(namesOf(stored)).toEqual(['ort.jspi-Ab12Cd34.wasm']);
});

it('answers also when storage is full', async () => {
  const quota = new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  vi.stubGlobal('caches', createCacheStorage(() => Promise.reject(quota)).storage);
  await release('ort.jspi-Ab12Cd34.wasm');
  expect(await ask('ort.jspi-Ab12Cd34.wasm')).toBe('ort.jspi-Ab12Cd34.wasm');
});
