import { isolate } from './isolation.ts';

const CACHE = 'vitrine-runtime-isolated';

/** The cache of releases that kept responses without the isolation headers. */
const OUTDATED_CACHE = 'vitrine-runtime';

/** ONNX Runtime's wasm files: too large to fetch before they are needed, and named by their content. */
export function isRuntimeFile(url: URL): boolean {
  return url.pathname.endsWith('.wasm');
}

/**
 * From the cache, or from the network and into the cache. Older releases' files are dropped on the way. What comes from
 * the cache is handed over untouched: Chromium keeps the compiled code of a wasm file beside the cached response, and
 * finds it again only while the page gets that very response.
 */
export async function fromRuntimeCache(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const cached = await cache.match(request.url);
  if (cached) return cached;
  const response = isolate(await fetch(request));
  if (response.ok) {
    const kept = response.clone();
    const build = fileOfBuild(request.url);
    await caches.delete(OUTDATED_CACHE);
    for (const older of await cache.keys()) {
      if (fileOfBuild(older.url) === build) await cache.delete(older);
    }
    // Full storage must not keep the engine from starting.
    await cache.put(request.url, kept).catch(() => undefined);
  }
  return response;
}

/** `ort-wasm-simd-threaded.jspi-Ab12Cd34.wasm` → `ort-wasm-simd-threaded.jspi`. */
function fileOfBuild(url: string): string {
  const name = new URL(url).pathname.split('/').at(-1) ?? '';
  return name.replace(/-[\w-]{8}\.wasm$/, '');
}
