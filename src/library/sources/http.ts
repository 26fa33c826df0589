import type { OpenBytes } from '#library/bring-file.ts';
import { AppError } from '#protocol/error.ts';
import { downloadName } from './download-name.ts';
import { refusal } from './refusals.ts';
import type { SourceFile } from './source-file.ts';
import { unreachable } from './unreachable.ts';

/** The least that is fetched when a file is read; the next read is often close by. */
const WINDOW_BYTES = 64 * 1024;

/** Servers without ranges send everything from the start: so far that is borne. */
const MAX_PASSED_OVER_BYTES = 128 * 1024 * 1024;

/**
 * A GET that is not cached: model files have a better place than the browser's HTTP cache.
 * @param what names the thing in messages
 * @throws AppError `download_failed` when there is no answer, an error status, or a web page instead of the file; `cancelled`
 */
export async function get(
  url: string,
  what: string,
  options: { range?: string; method?: 'GET' | 'HEAD'; signal?: AbortSignal | undefined } = {},
): Promise<Response> {
  const { range, method = 'GET', signal } = options;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      cache: 'no-store',
      ...(range !== undefined && { headers: { Range: range } }),
      ...(signal && { signal }),
    });
  } catch (thrown) {
    if (signal?.aborted) throw new AppError('cancelled', 'The download was stopped.', { cause: thrown });
    throw await unreachable(url, what, thrown);
  }
  const isPage = /^\s*(?:text\/html|application\/xhtml)/i.test(response.headers.get('Content-Type') ?? '');
  if ((response.ok && !isPage) || response.status === 416) return response;
  await response.body?.cancel();
  throw response.ok ? webPage(response.url || url, what) : refusal(response, url, what);
}

/** Sites send people to a page where they can log in; a page with a success is never the file. */
function webPage(url: string, file: string): AppError {
  return new AppError(
    'download_failed',
    `${new URL(url).host} sent a web page instead of ${file}: it may need a login or a key. Download it in a browser where you are logged in, and drop it here.`,
    { detail: { file } },
  );
}

/** Opens a file's bytes by `Range`. Errors are those of {@link get}. */
export function openHttp(url: string, path: string): OpenBytes {
  return async (from, signal) => {
    const response = await get(url, path, { signal, ...(from > 0 && { range: `bytes=${from}-` }) });
    if (response.status === 416) return 'no-such-range';
    if (!response.body) throw refusal(response, url, path);
    return { stream: response.body, from: response.status === 206 ? from : 0 };
  };
}

/** Bytes `start` to `end` of a body that begins at byte `position`; what follows is not waited for. */
async function cutOut(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  position: number,
  start: number,
  end: number,
): Promise<ArrayBuffer> {
  const found = new Uint8Array(end - start);
  let filled = 0;
  // Leaving the loop ends the connection.
  for await (const chunk of body) {
    const skip = Math.max(0, start - position);
    position += chunk.length;
    if (skip >= chunk.length) continue;
    const part = chunk.subarray(skip, skip + found.length - filled);
    found.set(part, filled);
    filled += part.length;
    if (filled === found.length) break;
  }
  return found.buffer.slice(0, filled);
}

/** A file on a server, read by `Range` requests. Its size must be known. */
export function remoteFile(file: Pick<SourceFile, 'path' | 'size' | 'sha256'> & { url: string }): SourceFile {
  const { url, path, size } = file;
  let window: { start: number; bytes: ArrayBuffer } = { start: 0, bytes: new ArrayBuffer(0) };

  async function read(start: number, end: number): Promise<ArrayBuffer> {
    const to = Math.min(end, size);
    if (to <= start) return new ArrayBuffer(0);
    if (start < window.start || to > window.start + window.bytes.byteLength) {
      const last = Math.min(Math.max(to, start + WINDOW_BYTES), size);
      const response = await get(url, path, { range: `bytes=${start}-${last - 1}` });
      const position = response.status === 206 ? start : 0;
      if (!response.body || response.status === 416 || start - position > MAX_PASSED_OVER_BYTES) {
        await response.body?.cancel();
        throw new AppError(
          'download_failed',
          `${new URL(url).host} does not serve parts of ${path} (HTTP ranges). Download it in a browser and drop it here.`,
          { detail: { file: path, status: response.status } },
        );
      }
      window = { start, bytes: await cutOut(response.body, position, start, last) };
    }
    return window.bytes.slice(start - window.start, to - window.start);
  }

  return {
    ...file,
    open: openHttp(url, path),
    slice: (start, end) => ({ arrayBuffer: () => read(start, end) }),
  };
}

/**
 * The name and size of a file on a server.
 * @param path names it in messages
 * @throws AppError `download_failed`, also if the server does not say
 */
export async function measureRemote(url: string, path: string): Promise<{ name: string; size: number }> {
  const ranged = await get(url, path, { range: 'bytes=0-0' });
  await ranged.body?.cancel();
  const name = downloadName(url, ranged);
  const total = /\/(\d+)$/.exec(ranged.headers.get('Content-Range') ?? '')?.[1];
  if (total !== undefined) return { name, size: Number(total) };
  // Servers need not let other sites see the range; the length they must.
  const whole = ranged.status === 200 ? ranged : await get(url, path, { method: 'HEAD' });
  const length = whole.headers.get('Content-Length');
  if (length !== null && !whole.headers.has('Content-Encoding')) return { name, size: Number(length) };
  throw new AppError(
    'download_failed',
    `${new URL(url).host} does not say how large ${path} is. Download it in a browser and drop it here.`,
    { detail: { file: path } },
  );
}
