import { BACKEND_HEADER } from '#protocol/backends.ts';
import { AppError, toAppError, type ErrorCode } from '#protocol/error.ts';
import { hostOfUpstream } from '#protocol/other-servers.ts';
import type { Ask } from './connection.ts';
import type { Server } from './exchange.ts';
import { forward, isForwarded, isRefusal, refusalOf, type ActiveUpstream, type Service } from './forward.ts';
import type { Dialect } from './route.ts';

/** Long enough for a slow machine's batch of images. */
const TIMEOUT_MS = 600_000;

/** Failures that mean that this tab cannot do it, whereas another server may. */
const CANNOT: ReadonlySet<ErrorCode> = new Set([
  'no_engine_tab',
  'protocol_mismatch',
  'model_not_found',
  'unsupported_feature',
  'queue_full',
  // Of a job or a file: it may be there.
  'not_found',
]);

/** An answer of this tab's own. */
export interface OwnAnswer {
  response: Response;
  /** What failed; null where nothing did, or where a job has been accepted here. */
  failure: AppError | null;
  /** Runs the request again, without {@link Relay.pass} having an effect. */
  again?: () => Promise<Response>;
}

/** The exchange that a relay belongs to. */
export interface RelayedExchange {
  server: Server;
  dialect: Dialect;
  request: Request;
  /** The request's path below the app's folder. */
  path: string;
  /** Aborts when the client has gone. */
  signal: AbortSignal;
  body: () => Promise<Uint8Array<ArrayBuffer>>;
  /** The request is known, and begins. */
  begin: () => void;
  render: (error: unknown) => Response;
  note: (sentence: string) => void;
}

/** Decides who answers a request, this tab or the dialect's upstream, by the upstream's rule. */
export class Relay {
  readonly #exchange: RelayedExchange;
  #asked: ActiveUpstream | null = null;
  /** Whether a refusal of this tab leads to the upstream. */
  #mayPass = false;
  #passed: AppError | null = null;
  /** More unfinished jobs than these, and the request is the upstream's. */
  #mostUnfinished = Infinity;

  constructor(exchange: RelayedExchange) {
    this.#exchange = exchange;
  }

  /** The host that answers, or is asked at the moment; null for this tab. */
  get answeredBy(): string | null {
    return this.#asked && hostOfUpstream(this.#asked);
  }

  /**
   * One answer, whoever gives it; never rejects. Where both fail, it is this tab's, whose words are about the request, and the
   * upstream's failure is a note.
   * @param own tries it here
   */
  async answer(own: () => Promise<OwnAnswer>): Promise<Response> {
    const { body, begin, render, note } = this.#exchange;
    const found = await this.#findUpstream();
    if (!found) return (await own()).response;
    const { upstream, service } = found;
    if (upstream.rule === 'always') {
      await body();
      begin();
      return this.#forward(upstream, service).catch((error: unknown) => {
        this.#asked = null;
        return render(error);
      });
    }
    this.#mayPass = true;
    if (upstream.rule === 'queue') this.#mostUnfinished = upstream.longerThan;
    const { response, failure, again } = await own();
    const reason = this.#passed ?? failure;
    if (!reason || !CANNOT.has(reason.code)) return response;
    try {
      const answer = await this.#forward(upstream, service);
      if (!isRefusal(answer.status)) return answer;
      await answer.body?.cancel();
      throw refusalOf(upstream, service, answer.status);
    } catch (error) {
      this.#asked = null;
      note(toAppError(error).message);
      this.#mayPass = false;
      return this.#passed && again ? again() : response;
    }
  }

  /**
   * Leaves the request to the upstream, where there is one for what this tab cannot do, however the dialect would word the
   * refusal. Without one it goes on: many programs use something else in place of what they have not got.
   * @throws AppError the reason
   */
  pass(reason: AppError): void {
    if (!this.#mayPass || !CANNOT.has(reason.code)) return;
    this.#passed = reason;
    throw reason;
  }

  /** To be called before a request's first job. @throws AppError `queue_full` when the rule leaves it to the upstream */
  async checkQueue(ask: Ask): Promise<void> {
    if (!this.#mayPass || this.#mostUnfinished === Infinity) return;
    const { length } = await ask((host) => host.unfinishedJobs());
    if (length > this.#mostUnfinished)
      this.pass(new AppError('queue_full', `${length} jobs are waiting or running.`));
  }

  async #findUpstream(): Promise<{ upstream: ActiveUpstream; service: Service } | null> {
    const { server, dialect, request } = this.#exchange;
    const { service } = dialect;
    if (!service || !server.upstreamOf || isForwarded(request) || request.headers.has(BACKEND_HEADER))
      return null;
    const upstream = await server.upstreamOf(dialect.name);
    return upstream && { upstream, service };
  }

  /** @throws AppError why there is no answer */
  async #forward(upstream: ActiveUpstream, service: Service): Promise<Response> {
    const { server, dialect, request, path, signal, body } = this.#exchange;
    const { search, origin } = new URL(request.url);
    const prefix = dialect.prefix ?? '';
    const isPrefixed = prefix !== '' && `${path}/`.startsWith(`${prefix}/`);
    this.#asked = upstream;
    return forward(upstream, service, {
      method: request.method,
      path: (isPrefixed ? path.slice(prefix.length) : path) + search,
      headers: request.headers,
      body: await body(),
      signal,
      timeoutMs: server.upstreamTimeoutMs ?? TIMEOUT_MS,
      origin,
    });
  }
}
