import { fromBase64OrDataUri } from '#codecs/base64.ts';
import { isRecord, parseJson } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import type { HordeModel } from '#protocol/horde-worker.ts';
import type { HordeGeneration, HordePayload, HordeStatus } from './payload.ts';

/** `name:version:contact`, by which the Horde knows its clients. */
const CLIENT_AGENT = 'Vitrine:0.1:unknown';

/** What an account without a key is called by (AI-Horde README_integration.md). */
const ANONYMOUS_KEY = '0000000000';

/** Where finished images are fetched from besides the Horde itself: Cloudflare's R2 (horde/r2.py). */
const IMAGE_HOSTS = /\.r2\.cloudflarestorage\.com$/;

export interface HordeClientOptions {
  /** The API without a slash at the end: `https://aihorde.net/api`. */
  address: string;
  /** The user's key; undefined for an anonymous account. Read for each request. */
  key: () => Promise<string | undefined>;
  /** How long a request may take. */
  timeoutMs: number;
}

/** Whether the same request may succeed later: no connection, an overloaded or restarting server, a rate limit. */
export function mayPass(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && thrown.detail?.['mayPass'] === true;
}

/** Milliseconds the server asks to wait before the next try. */
export function waitOf({ detail }: AppError): number | undefined {
  const ms = detail?.['waitMs'];
  return typeof ms === 'number' ? ms : undefined;
}

/** Whether the Horde does not know a request, or no longer. */
export function isUnknownRequest(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.detail?.['isUnknown'] === true;
}

/** What people can do about an error of the Horde, by its `rc` (README_return_codes.md). */
const ADVICE: Readonly<Record<string, string>> = {
  InvalidAPIKey: 'Check the API key in Settings, or clear it to go on without an account.',
  KudosUpfront: 'Choose a smaller size or fewer steps, or earn kudos by running a worker.',
  TooManyPrompts: 'Wait for your other requests, or enter an API key in Settings.',
  CorruptPrompt: 'Change the prompt.',
  MaintenanceMode: 'Try again later, or run the job in this tab.',
  ImageValidationFailed: 'Choose another image.',
};

/**
 * The HTTP API of the AI Horde, v2 (https://aihorde.net/api/). Every method throws AppError `remote_failed`: what may pass is recognised by
 * {@link mayPass}, a request that is gone by {@link isUnknownRequest}. Keys are sent in a header and appear in no error.
 */
export function createHordeClient({ address, key, timeoutMs }: HordeClientOptions) {
  async function call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await send(`${address}${path}`, {
      method,
      headers: {
        'Client-Agent': CLIENT_AGENT,
        apikey: (await key()) ?? ANONYMOUS_KEY,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text().catch((cause: unknown) => {
      throw lost(cause);
    });
    const answer = readJson(text);
    if (!response.ok) throw refusal(response, answer);
    if (answer === undefined) {
      throw passing('The AI Horde sent an answer that is not JSON. Try again later.');
    }
    return answer;
  }

  async function send(url: string, init: RequestInit): Promise<Response> {
    try {
      // Referrer and cookies would say more than the request.
      return await fetch(url, {
        ...init,
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        cache: 'no-store',
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw lost(cause);
    }
  }

  const byId = (kind: 'check' | 'status', id: string) => `/v2/generate/${kind}/${encodeURIComponent(id)}`;

  async function statusOf(method: 'GET' | 'DELETE', id: string): Promise<HordeGeneration[]> {
    const answer = await call(method, byId('status', id));
    const generations = isRecord(answer) ? answer['generations'] : undefined;
    return Array.isArray(generations) ? generations.flatMap(readGeneration) : [];
  }

  return {
    /** Sends a request. @returns its id */
    async submit(payload: HordePayload): Promise<string> {
      const answer = await call('POST', '/v2/generate/async', payload);
      const id = isRecord(answer) ? answer['id'] : undefined;
      if (typeof id === 'string' && id !== '') return id;
      throw passing('The AI Horde accepted the job without naming it. Try again later.');
    },
    /** What a request would cost in kudos. Nothing is generated. */
    async cost(payload: HordePayload): Promise<number> {
      const answer = await call('POST', '/v2/generate/async', { ...payload, dry_run: true });
      return isRecord(answer) ? Number(answer['kudos'] ?? 0) : 0;
    },
    /** Where a request is. */
    async check(id: string): Promise<HordeStatus> {
      return readStatus(await call('GET', byId('check', id)));
    },
    /** The finished images of a request. */
    finished: (id: string) => statusOf('GET', id),
    /** Ends a request. @returns the images that are finished; */
    cancel: (id: string) => statusOf('DELETE', id),

    /** The file of a finished image. */
    async file({ img }: HordeGeneration): Promise<Blob> {
      if (!/^https?:/.test(img)) return new Blob([bytesOf(img)], { type: 'image/webp' });
      const { hostname, protocol, origin } = new URL(img);
      const isAllowed =
        (protocol === 'https:' && IMAGE_HOSTS.test(hostname)) || origin === new URL(address).origin;
      if (!isAllowed) {
        throw failure(
          `The AI Horde sent an image from ${hostname}, which is none of its hosts. It was not fetched.`,
        );
      }
      const response = await send(img, {});
      if (response.status >= 500 || response.status === 429) throw refusal(response, undefined);
      if (!response.ok) throw failure('An image is no longer at the AI Horde. Generate it again.');
      return response.blob().catch((cause: unknown) => {
        throw lost(cause);
      });
    },

    /** Models that workers offer now, those with the most workers first. */
    async models(): Promise<HordeModel[]> {
      const answer = await call('GET', '/v2/status/models?type=image&model_state=all');
      const models = Array.isArray(answer) ? answer.flatMap(readModel) : [];
      return models.sort((a, b) => b.workers - a.workers);
    },

    /** Kudos of the account; null without a key. */
    async balance(): Promise<number | null> {
      if ((await key()) === undefined) return null;
      const answer = await call('GET', '/v2/find_user');
      return isRecord(answer) ? Number(answer['kudos'] ?? 0) : null;
    },
  };
}

export type HordeClient = ReturnType<typeof createHordeClient>;

function failure(message: string, cause?: unknown): AppError {
  return new AppError('remote_failed', message, { cause });
}

function passing(
  message: string,
  { waitMs, cause }: { waitMs?: number | undefined; cause?: unknown } = {},
): AppError {
  return new AppError('remote_failed', message, {
    cause,
    detail: { mayPass: true, ...(waitMs !== undefined && { waitMs }) },
  });
}

function lost(cause: unknown): AppError {
  return passing('The AI Horde cannot be reached. Check the connection, or run the job in this tab.', {
    cause,
  });
}

function refusal(response: Response, answer: unknown): AppError {
  const { status } = response;
  const said = isRecord(answer) && typeof answer['message'] === 'string' ? answer['message'].trim() : '';
  const rc = isRecord(answer) && typeof answer['rc'] === 'string' ? answer['rc'] : '';
  if (status === 404) {
    return new AppError(
      'remote_failed',
      'The AI Horde no longer knows this job. It may have expired. Generate it again.',
      { detail: { isUnknown: true } },
    );
  }
  const words = said === '' ? `status ${String(status)}` : said.replace(/\.?$/, '.');
  const advice = ADVICE[rc] ?? (status === 401 ? ADVICE['InvalidAPIKey'] : undefined) ?? '';
  const message = `The AI Horde refused the request: ${words} ${advice}`.trim();
  // Its own limits pass with time; so does what a proxy in front of it says while it restarts.
  const isPassing = status === 429 || status === 408 || status >= 500;
  return isPassing ? passing(message, { waitMs: retryAfter(response) }) : failure(message);
}

/** Seconds or a date (RFC 9110, section 10.2.3), as milliseconds from now. */
function retryAfter({ headers }: Response): number | undefined {
  const value = headers.get('Retry-After');
  if (value === null) return undefined;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function readJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64OrDataUri(base64);
  } catch (cause) {
    throw failure('The AI Horde sent an image that cannot be read. Generate it again.', cause);
  }
}

function readStatus(answer: unknown): HordeStatus {
  if (!isRecord(answer) || typeof answer['done'] !== 'boolean')
    throw passing('The AI Horde sent a state that cannot be read. Try again later.');
  const number = (name: string) => Math.max(0, Number(answer[name] ?? 0) || 0);
  return {
    finished: number('finished'),
    processing: number('processing'),
    waiting: number('waiting'),
    done: answer['done'],
    faulted: answer['faulted'] === true,
    is_possible: answer['is_possible'] !== false,
    wait_time: number('wait_time'),
    queue_position: number('queue_position'),
  };
}

function readGeneration(value: unknown): HordeGeneration[] {
  if (!isRecord(value) || typeof value['img'] !== 'string') return [];
  return [
    {
      img: value['img'],
      seed: textOf(value['seed']),
      id: textOf(value['id']),
      worker_name: textOf(value['worker_name']),
      model: textOf(value['model']),
      censored: value['censored'] === true,
    },
  ];
}

/** Of ids and seeds, which the Horde sends as strings or numbers. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
    ? String(value)
    : '';
}

function readModel(value: unknown): HordeModel[] {
  if (!isRecord(value) || typeof value['name'] !== 'string') return [];
  return [
    { name: value['name'], workers: Number(value['count'] ?? 0), waitSeconds: Number(value['eta'] ?? 0) },
  ];
}
