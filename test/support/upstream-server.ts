import './node-20.ts';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** How a server answers a request: as it should, or with a fault. */
export type Manner =
  | 'well'
  /** Begins to answer only when {@link UpstreamServer.release} is called. */
  | 'slow'
  | 'busy'
  | 'broken'
  | 'wrong key'
  | 'unknown path'
  | 'broken JSON'
  | 'redirect'
  /** Closes the connection without an answer. */
  | 'dropped'
  /** Closes it in the middle of the answer. */
  | 'cut off';

/** A request as the server got it. */
export interface UpstreamRequest {
  method: string;
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

export interface UpstreamServer {
  readonly origin: string;
  /** What was asked, preflights left out. */
  readonly requests: readonly UpstreamRequest[];
  /** The prompts of the requests that got the answer they asked for. */
  readonly answered: readonly string[];
  /** Decides how the next requests are answered. */
  behave(manner: Manner | ((request: UpstreamRequest) => Manner)): void;
  release(): void;
  close(): Promise<void>;
}

interface Options {
  /** The answer to a request, as the service's documentation has it. */
  answer: (request: UpstreamRequest) => unknown;
  /** The pages that CORS lets read the answers; `*` for all, null for none. */
  allowOrigin?: string | null;
}

/** The headers a strict server lets other sites send. */
const ALLOWED_HEADERS = 'content-type, authorization, x-api-key';

/** Starts a server that stands for a real A1111, Fooocus-API … on loopback, with its CORS rules and with faults on demand. */
export async function startUpstream({ answer, allowOrigin = '*' }: Options): Promise<UpstreamServer> {
  const requests: UpstreamRequest[] = [];
  const answered: string[] = [];
  let mannerOf: (request: UpstreamRequest) => Manner = () => 'well';
  let released = Promise.withResolvers<undefined>();

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const cors: Record<string, string> =
      allowOrigin === null
        ? {}
        : {
            'Access-Control-Allow-Origin': allowOrigin,
            'Access-Control-Expose-Headers': 'Retry-After, X-Served-By',
          };
    if (incoming.method === 'OPTIONS') {
      const allowed = {
        'Access-Control-Allow-Headers': ALLOWED_HEADERS,
        'Access-Control-Allow-Methods': 'GET, POST',
      };
      response.writeHead(204, allowOrigin === null ? {} : { ...cors, ...allowed }).end();
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const request: UpstreamRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: Buffer.concat(parts).toString(),
    };
    requests.push(request);
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, {
          ...cors,
          'Content-Type': 'application/json',
          'X-Served-By': 'upstream',
          ...headers,
        })
        .end(typeof body === 'string' ? body : JSON.stringify(body));
    const text = JSON.stringify(answer(request));
    const manner = mannerOf(request);
    switch (manner) {
      case 'slow':
        await released.promise;
        break;
      case 'busy':
        return void send(429, { detail: 'Too many requests' }, { 'Retry-After': '7' });
      case 'broken':
        return void send(500, { error: 'OutOfMemoryError' });
      case 'wrong key':
        return void send(401, { detail: 'Not authenticated' });
      case 'unknown path':
        return void send(404, { detail: 'Not Found' });
      case 'broken JSON':
        return void send(200, text.slice(0, -1));
      case 'redirect':
        return void response.writeHead(307, { ...cors, Location: 'http://elsewhere.invalid/' }).end();
      case 'dropped':
        return void response.destroy();
      case 'cut off':
        response.writeHead(200, {
          ...cors,
          'Content-Type': 'application/json',
          'Content-Length': text.length,
        });
        return void response.write(text.slice(0, 3), () => setTimeout(() => response.destroy(), 50));
    }
    if (response.destroyed) return;
    send(200, text);
    if (request.method === 'POST') answered.push(promptOf(request));
  }

  const server = createServer((incoming, response) => void handle(incoming, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    requests,
    answered,
    behave: (manner) => (mannerOf = typeof manner === 'string' ? () => manner : manner),
    release: () => {
      released.resolve(undefined);
      released = Promise.withResolvers();
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function promptOf({ body }: UpstreamRequest): string {
  const value: unknown = body.startsWith('{') ? JSON.parse(body) : {};
  const { prompt } = value as { prompt?: string };
  return prompt ?? '';
}
