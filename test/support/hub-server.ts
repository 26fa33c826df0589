import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A repository of a {@link serveHub}. */
export interface HubRepository {
  files: Readonly<Record<string, Uint8Array>>;
  /** The front matter of its model card. */
  card?: Readonly<Record<string, unknown>>;
  /** Answered in place of everything: 401 for a gated repository. */
  status?: number;
}

/** One request, as the test sees it afterwards. */
export interface HubRequest {
  method: string;
  path: string;
  range: string | null;
  status: number;
}

export interface HubServer {
  readonly origin: string;
  readonly requests: readonly HubRequest[];
  /** Cuts the connection after so many bytes of the next answer to who asks for the whole of this file. */
  cutOnce(file: string, afterBytes: number): void;
  /** From now on answers with the whole file whatever the range. */
  ignoreRanges(): void;
  close(): Promise<void>;
}

/** The commit every branch of every repository stands at. */
export const COMMIT = 'c0ffee'.padEnd(40, '0');

/** Entries of a page of a listing: few, so that tests turn pages. */
const PAGE = 5;

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Content-Range, Link, ETag, X-Repo-Commit',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/**
 * Answers like the Hugging Face hub: what a repository is, the listing of its files page by page, and the files, by a
 * redirect to another address that knows ranges. `plain/` has the same files without a redirect and without ranges
 * that scripts may see, as other servers do.
 * @param repositories by `owner/name`
 */
export async function serveHub(repositories: Readonly<Record<string, HubRepository>>): Promise<HubServer> {
  const requests: HubRequest[] = [];
  const cuts = new Map<string, number>();
  let knowsRanges = true;
  let origin = '';

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', origin);
    const range = request.headers.range ?? null;
    const end = (
      status: number,
      body: unknown = { error: 'Not found' },
      headers: Record<string, string> = {},
    ) => {
      requests.push({ method: request.method ?? '', path: url.pathname, range, status });
      response.writeHead(status, { ...CORS, 'Content-Type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const [place = '', ...rest] = parts;
    const [owner = '', name = '', view = '', revision = '', ...path] =
      place === 'api' ? rest.slice(1) : place === 'cdn' || place === 'plain' ? rest : parts;
    const repository = repositories[`${owner}/${name}`];
    // The real hub does not tell strangers what is private from what is not there.
    if (!repository) {
      end(401, { error: 'Invalid username or password.' });
      return;
    }
    if (repository.status !== undefined) {
      end(repository.status, { error: 'Access is restricted.' });
      return;
    }

    if (place === 'api' && view === 'revision') {
      end(200, { id: `${owner}/${name}`, sha: COMMIT, cardData: repository.card ?? {} });
      return;
    }
    if (place === 'api' && view === 'tree') {
      const entries = listEntries(repository);
      const start = Number(url.searchParams.get('cursor') ?? 0);
      const isLast = start + PAGE >= entries.length;
      const next = `${origin}${url.pathname}?recursive=true&cursor=${start + PAGE}`;
      end(200, entries.slice(start, start + PAGE), isLast ? {} : { Link: `<${next}>; rel="next"` });
      return;
    }
    if (place !== 'cdn' && place !== 'plain') {
      if (view !== 'resolve' || (revision !== COMMIT && revision !== 'main')) {
        end(404);
        return;
      }
      if (!repository.files[path.join('/')]) {
        end(404);
        return;
      }
      const target = `${origin}/cdn/${owner}/${name}/-/-/${path.join('/')}?expires=soon`;
      end(302, '', { Location: target });
      return;
    }
    const file = path.join('/');
    const bytes = repository.files[file];
    if (!bytes) {
      end(404);
      return;
    }
    sendFile(request, response, { url, bytes, file, range });
  }

  function sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    { url, bytes, file, range }: { url: URL; bytes: Uint8Array; file: string; range: string | null },
  ): void {
    const asked = knowsRanges ? /^bytes=(\d+)-(\d*)$/.exec(range ?? '') : null;
    const from = Number(asked?.[1] ?? 0);
    const to = asked?.[2] ? Math.min(Number(asked[2]) + 1, bytes.length) : bytes.length;
    const status = asked ? (from >= bytes.length ? 416 : 206) : 200;
    requests.push({ method: request.method ?? '', path: url.pathname, range, status });
    if (status === 416) {
      response.writeHead(416, { ...CORS, 'Content-Range': `bytes */${bytes.length}` }).end();
      return;
    }
    const isPlain = url.pathname.startsWith('/plain/');
    response.writeHead(status, {
      ...CORS,
      ...(isPlain && { 'Access-Control-Expose-Headers': '' }),
      'Content-Type': 'application/octet-stream',
      'Content-Length': to - from,
      ...(asked && !isPlain && { 'Content-Range': `bytes ${from}-${to - 1}/${bytes.length}` }),
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const cut = cuts.get(file);
    if (cut === undefined || range !== null || cut >= to - from) {
      response.end(bytes.subarray(from, to));
      return;
    }
    cuts.delete(file);
    // What was sent must arrive before the connection breaks.
    response.write(bytes.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 50));
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  origin = `http://localhost:${address.port}`;
  return {
    origin,
    requests,
    cutOnce: (file, afterBytes) => cuts.set(file, afterBytes),
    ignoreRanges: () => (knowsRanges = false),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** As the hub lists them: large files are in Git LFS and have their SHA-256, small ones git's own hash. */
function listEntries({ files }: HubRepository): object[] {
  const folders = new Set(Object.keys(files).flatMap((path) => path.split('/').slice(0, -1)));
  return [
    ...[...folders].map((path) => ({ type: 'directory', oid: 'd'.repeat(40), size: 0, path })),
    ...Object.entries(files).map(([path, bytes]) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const isLarge = bytes.length > 100_000;
      return {
        type: 'file',
        oid: 'f'.repeat(40),
        size: bytes.length,
        path,
        ...(isLarge && { lfs: { oid: sha256, size: bytes.length, pointerSize: 134 } }),
      };
    }),
  ];
}
