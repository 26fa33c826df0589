import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { encodePng } from '#codecs/png.ts';
import type { EngineThread } from '#host/engine-process.ts';
import { createHorde, type HordeParts } from '#host/backends/horde/horde.ts';
import type { HordePayload } from '#host/backends/horde/payload.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { expose } from 'comlink';
import { colourOf } from './fake-engine.ts';

carryErrorCodes();

const KNOWN_SAMPLERS = [
  'k_lms',
  'k_heun',
  'k_euler',
  'k_euler_a',
  'k_dpm_2',
  'k_dpm_2_a',
  'k_dpm_fast',
  'k_dpm_adaptive',
];
const MORE_SAMPLERS = ['k_dpmpp_2s_a', 'k_dpmpp_2m', 'dpmsolver', 'k_dpmpp_sde', 'DDIM', 'lcm'];

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Allow-Methods': 'GET, POST, DELETE, OPTIONS',
  'Access-Control-Expose-Headers': '*',
};

/** What goes wrong with a call. */
export type HordeFault =
  | { status: number; headers?: Readonly<Record<string, string>>; body?: unknown }
  /** The connection breaks before the call has an effect, or after it. */
  | 'drop'
  | 'drop after'
  /** The answer is cut off in the middle of its JSON. */
  | 'broken JSON';

/** A call to be answered. */
export interface HordeCall {
  kind: 'submit' | 'check' | 'status' | 'cancel' | 'image' | 'models' | 'user';
  /** How many calls of this kind there have been, this one included. */
  count: number;
}

/** A request as the emulator keeps it. */
export interface KeptRequest {
  id: string;
  apikey: string;
  payload: HordePayload;
  /** How often it has been checked. */
  checks: number;
  state: 'waiting' | 'faulted' | 'cancelled' | 'delivered';
}

export interface HordeServerOptions {
  /** Checks until a request is done: it moves up the queue with each, and is processed in the last one. */
  checks?: number;
  /** Decides about each call; undefined answers it as the Horde does. */
  fault?: (call: HordeCall) => HordeFault | undefined;
  /** The state a request is in by itself. */
  stateOf?: (request: KeptRequest) => { faulted?: boolean; is_possible?: boolean; holds?: boolean };
  /** Keys that have an account. */
  accounts?: Readonly<Record<string, number>>;
  censored?: boolean;
  /** Where the links to images lead; by default here. */
  imageOrigin?: string;
}

export interface HordeServer {
  /** To be handed to the client. */
  readonly address: string;
  readonly requests: readonly KeptRequest[];
  /** Every call, in order. */
  readonly calls: readonly string[];
  /** The bodies of all calls. */
  readonly bodies: readonly string[];
  /** Forgets a request, as the Horde does after 20 minutes. */
  forget(id: string): void;
  close(): Promise<void>;
}

/**
 * The AI Horde as its documentation and source describe it (github.com/Haidra-Org/AI-Horde: horde/apis/v2/stable.py,
 * horde/validation.py), with workers that make each image in the one colour of its seed. It answers on loopback.
 */
export async function serveHorde({
  checks = 3,
  fault = () => undefined,
  stateOf = () => ({}),
  accounts = {},
  censored = false,
  imageOrigin,
}: HordeServerOptions = {}): Promise<HordeServer> {
  const requests = new Map<string, KeptRequest>();
  const kept: KeptRequest[] = [];
  const calls: string[] = [];
  const bodies: string[] = [];
  const counts = new Map<string, number>();
  let origin = '';

  function validate({ prompt, params, source_image, source_mask }: HordePayload): string | undefined {
    if (prompt === '') return 'MissingPrompt';
    if (params.width % 64 !== 0 || params.height % 64 !== 0) return 'InvalidSize';
    if (Math.max(params.width, params.height) > 3072) return 'InvalidSize';
    if (params.n < 1 || params.n > 20 || params.steps < 1 || params.steps > 500) return 'BadRequest';
    if (![...KNOWN_SAMPLERS, ...MORE_SAMPLERS].includes(params.sampler_name)) return 'UnsupportedSampler';
    if (Math.round(params.cfg_scale * 100) / 100 !== params.cfg_scale) return 'BadCFGDecimals';
    if (source_mask !== undefined && source_image === undefined) return 'SourceMaskUnnecessary';
    if (params.control_type !== undefined && source_image === undefined) return 'ControlNetSourceMissing';
    return undefined;
  }

  function submit(payload: HordePayload, apikey: string): [number, unknown] {
    if (apikey !== '0000000000' && !(apikey in accounts)) {
      return [
        401,
        {
          message:
            'No user matching sent API Key. Have you remembered to register at https://aihorde.net/register ?',
          rc: 'InvalidAPIKey',
        },
      ];
    }
    const rc = validate(payload);
    if (rc !== undefined) return [400, { message: `The payload is wrong: ${rc}`, rc }];
    const kudos = Math.round(
      (payload.params.n * payload.params.steps * payload.params.width * payload.params.height) / 2 ** 18,
    );
    if (payload.dry_run) return [200, { kudos }];
    const request: KeptRequest = { id: crypto.randomUUID(), apikey, payload, checks: 0, state: 'waiting' };
    requests.set(request.id, request);
    kept.push(request);
    return [202, { id: request.id, kudos }];
  }

  function statusOf(request: KeptRequest): Record<string, unknown> {
    const { n } = request.payload.params;
    const { faulted = false, is_possible = true, holds = false } = stateOf(request);
    const isDone = !faulted && is_possible && !holds && request.checks >= checks;
    const isProcessing = !isDone && is_possible && request.checks === checks - 1;
    if (faulted) request.state = 'faulted';
    return {
      finished: isDone ? n : 0,
      processing: isProcessing ? n : 0,
      restarted: 0,
      waiting: isDone || isProcessing ? 0 : n,
      done: isDone,
      faulted,
      wait_time: Math.max(0, checks - request.checks) * 5,
      queue_position: Math.max(0, checks - 1 - request.checks),
      kudos: 10,
      is_possible,
    };
  }

  function generationsOf({ id, payload }: KeptRequest, isDone: boolean) {
    if (!isDone) return [];
    const { n, seed, seed_variation: step = 1 } = payload.params;
    return Array.from({ length: n }, (_, index) => ({
      img: `${imageOrigin ?? origin}/r2/${id}/${index}.webp`,
      seed: String(BigInt(seed) + BigInt(step) * BigInt(index)),
      id: `${id}/${index}`,
      worker_id: '00000000-0000-0000-0000-000000000000',
      worker_name: 'Test Dreamer',
      model: payload.models[0] ?? 'stable_diffusion',
      state: 'ok',
      censored,
      gen_metadata: [],
    }));
  }

  function answer(method: string, path: string, body: string, apikey: string): [number, unknown] | Buffer {
    const [, kind, id = ''] = /^\/api\/v2\/generate\/(check|status)\/([\w-]+)$/.exec(path) ?? [];
    if (method === 'POST' && path === '/api/v2/generate/async')
      return submit(JSON.parse(body) as HordePayload, apikey);
    if (path === '/api/v2/status/models') {
      return [
        200,
        [
          {
            name: 'stable_diffusion',
            count: 2,
            performance: 100,
            queued: 0,
            jobs: 0,
            eta: 10,
            type: 'image',
          },
          {
            name: 'AlbedoBase XL (SDXL)',
            count: 7,
            performance: 100,
            queued: 0,
            jobs: 0,
            eta: 40,
            type: 'image',
          },
        ],
      ];
    }
    if (path === '/api/v2/find_user') {
      const kudos = accounts[apikey];
      return kudos === undefined
        ? [404, { message: 'User not found', rc: 'UserNotFound' }]
        : [200, { username: 'tester#1', kudos }];
    }
    const image = /^\/r2\/([\w-]+)\/(\d+)\.webp$/.exec(path);
    const request = requests.get(image?.[1] ?? id);
    if (!request)
      return [404, { message: `Image Waiting Prompt with ID '${id}' not found.`, rc: 'RequestNotFound' }];
    if (image) {
      request.state = 'delivered';
      const { width, height, seed, seed_variation: step = 1 } = request.payload.params;
      return flat(width, height, colourOf(BigInt(seed) + BigInt(step) * BigInt(image[2] ?? 0)));
    }
    if (kind === 'check') request.checks++;
    const status = statusOf(request);
    if (kind === 'check') return [200, status];
    if (method === 'DELETE') {
      request.state = 'cancelled';
      requests.delete(request.id);
    }
    return [200, { ...status, generations: generationsOf(request, status['done'] === true), shared: false }];
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = 'GET' } = request;
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (method === 'OPTIONS') {
      response.writeHead(204, CORS).end();
      return;
    }
    const kind = kindOf(method, pathname);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    calls.push(kind);
    const body = Buffer.concat(parts).toString();
    bodies.push(body);
    const wrong = fault({ kind, count });
    if (wrong === 'drop') {
      request.socket.destroy();
      return;
    }
    if (typeof wrong === 'object') {
      response.writeHead(wrong.status, { 'Content-Type': 'application/json', ...CORS, ...wrong.headers });
      response.end(typeof wrong.body === 'string' ? wrong.body : JSON.stringify(wrong.body ?? {}));
      return;
    }
    const answered = answer(method, pathname, body, String(request.headers['apikey'] ?? '0000000000'));
    if (wrong === 'drop after') {
      request.socket.destroy();
    } else if (answered instanceof Buffer) {
      response.writeHead(200, { 'Content-Type': 'image/webp', ...CORS }).end(answered);
    } else {
      const text = JSON.stringify(answered[1]);
      response.writeHead(answered[0], { 'Content-Type': 'application/json', ...CORS });
      response.end(wrong === 'broken JSON' ? text.slice(0, text.length / 2) : text);
    }
  }

  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('The server has no port.');
  origin = `http://127.0.0.1:${bound.port}`;
  return {
    address: `${origin}/api`,
    requests: kept,
    calls,
    bodies,
    forget: (id) => requests.delete(id),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function kindOf(method: string, path: string): HordeCall['kind'] {
  if (method === 'POST') return 'submit';
  if (method === 'DELETE') return 'cancel';
  if (path.includes('/check/')) return 'check';
  if (path.startsWith('/r2/')) return 'image';
  if (path.endsWith('/models')) return 'models';
  return path.endsWith('/find_user') ? 'user' : 'status';
}

/** A PNG file; the Horde's WebP files are read by the tests in a browser. */
function flat(width: number, height: number, colour: readonly [number, number, number]): Buffer {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) data.set(colour, pixel * 3);
  return Buffer.from(encodePng({ width, height, channels: 3, data }));
}

/** The worker that talks to a Horde of the tests, started as the host does it, and less patient. */
export function startHorde(address: string, parts: Partial<HordeParts> = {}): EngineThread {
  const { port1, port2 } = new MessageChannel();
  let isDead = false;
  const horde = createHorde({
    address,
    // Read for each call: none is made after the thread's end.
    key: () => (isDead ? new Promise(() => undefined) : Promise.resolve(undefined)),
    patience: { pollMs: 5, retryMs: 5, giveUpAfterMs: 5_000, impossibleForMs: 50 },
    ...parts,
  });
  expose(horde, port2);
  return Object.assign(port1, {
    terminate: () => {
      isDead = true;
      port1.close();
    },
  });
}
