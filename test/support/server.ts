import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** One request for a file, as the test sees it afterwards. */
export interface ServedRequest {
  path: string;
  range: string | null;
  status: number;
  /** Length of the body as announced. */
  bytes: number;
}

export interface StaticServer {
  readonly origin: string;
  readonly requests: readonly ServedRequest[];
  /** Cuts the connection after so many bytes of the next answer for this path. */
  cutOnce(path: string, afterBytes: number): void;
  /** After so many bytes of the next answer for this path, sends the rest a kilobyte at a time. */
  slowOnce(path: string, afterBytes: number): void;
  /** Serves a page that is not in the folder. */
  addPage(path: string, html: string): void;
  /** Answers this path with bytes whose first one is wrong, until called with null. */
  corrupt(path: string | null): void;
  /** Bytes per second that are sent from now on, all answers together; null for no limit. */
  limitRate(bytesPerSecond: number | null): void;
  /** From now on answers with the whole file whatever the range, as simple servers do. */
  ignoreRanges(): void;
  close(): Promise<void>;
}

/**
 * Serves a folder as a static host would, with ranges, and with faults on demand.
 * @param isolated whether the headers of cross-origin isolation are sent
 */
export async function serveFolder(folder: string, isolated = true): Promise<StaticServer> {
  const requests: ServedRequest[] = [];
  const cuts = new Map<string, number>();
  const slow = new Map<string, number>();
  const pages = new Map<string, string>();
  let corrupted: string | null = null;
  let knowsRanges = true;
  let rate: number | null = null;
  /** When what was sent so far has passed a line of that rate, in milliseconds. */
  let lineFreeAt = 0;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const name = url.pathname.endsWith('/') ? `${url.pathname}index.html` : url.pathname;
    const file = path.join(folder, path.normalize(name));
    const range = request.headers.range ?? null;
    const page = pages.get(url.pathname);
    if (page !== undefined) {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
      return;
    }
    if (!existsSync(file) || !statSync(file).isFile()) {
      requests.push({ path: url.pathname, range, status: 404, bytes: 0 });
      response.writeHead(404, isolated ? ISOLATION : {}).end('Not found');
      return;
    }
    const size = statSync(file).size;
    const asked = knowsRanges ? /^bytes=(\d+)-$/.exec(range ?? '')?.[1] : undefined;
    const from = Number(asked ?? 0);
    const status = asked === undefined ? 200 : 206;
    if (asked !== undefined && from >= size) {
      requests.push({ path: url.pathname, range, status: 416, bytes: 0 });
      response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
      return;
    }
    requests.push({ path: url.pathname, range, status, bytes: size - from });
    response.writeHead(status, {
      ...(isolated ? ISOLATION : {}),
      'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'Content-Length': size - from,
      'Cache-Control': 'no-cache',
      ...(status === 206 && { 'Content-Range': `bytes ${from}-${size - 1}/${size}` }),
    });
    const cutAfter = cuts.get(url.pathname);
    cuts.delete(url.pathname);
    const slowAfter = slow.get(url.pathname);
    slow.delete(url.pathname);
    const spoil = corrupted === url.pathname && from === 0;
    let sent = 0;
    const stream = createReadStream(file, { start: from });
    // The end of the file may be reached while its last bytes are still held back.
    let isRead = false;
    let isHeld = false;
    const hold = (): void => {
      isHeld = true;
      stream.pause();
    };
    const goOn = (): void => {
      isHeld = false;
      if (isRead) response.end();
      else stream.resume();
    };
    stream.on('data', (data) => {
      const chunk = Buffer.from(data);
      if (spoil && sent === 0) chunk[0] = (chunk[0] ?? 0) ^ 0xff;
      if (cutAfter !== undefined && sent + chunk.length > cutAfter) {
        stream.destroy();
        // What was sent must arrive before the connection breaks.
        response.write(chunk.subarray(0, cutAfter - sent), () => setTimeout(() => response.destroy(), 50));
        return;
      }
      sent += chunk.length;
      if (rate !== null) {
        hold();
        lineFreeAt = Math.max(lineFreeAt, performance.now()) + (chunk.length / rate) * 1000;
        setTimeout(() => {
          response.write(chunk);
          goOn();
        }, lineFreeAt - performance.now());
        return;
      }
      if (slowAfter !== undefined && sent > slowAfter) {
        hold();
        trickle(chunk);
        return;
      }
      if (!response.write(chunk)) {
        stream.pause();
        response.once('drain', () => stream.resume());
      }
    });
    const trickle = (chunk: Buffer): void => {
      if (response.destroyed) return;
      response.write(chunk.subarray(0, 1024));
      if (chunk.length <= 1024) goOn();
      else setTimeout(() => trickle(chunk.subarray(1024)), 10);
    };
    stream.on('end', () => {
      isRead = true;
      if (!isHeld) response.end();
    });
    response.on('close', () => stream.destroy());
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return {
    origin: `http://localhost:${address.port}`,
    requests,
    cutOnce: (name, afterBytes) => cuts.set(name, afterBytes),
    slowOnce: (name, afterBytes) => slow.set(name, afterBytes),
    addPage: (name, html) => pages.set(name, html),
    corrupt: (name) => (corrupted = name),
    limitRate: (bytesPerSecond) => (rate = bytesPerSecond),
    ignoreRanges: () => (knowsRanges = false),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
