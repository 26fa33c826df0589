import { isRecord } from '#codecs/json.ts';
import type { ApiEvent } from '#protocol/api-event.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobRecord } from '#protocol/job.ts';
import type { GenericSchema } from 'valibot';
import { readFormBody, readJsonBody, type ReceivedBody } from './body.ts';
import { openLine, type Connect, type HostLine } from './connection.ts';
import type { Invalid } from './errors.ts';
import { validate } from './fields.ts';
import { answerInTime } from './late-answer.ts';
import { parametersOfNotes } from './notes.ts';
import { screenParameters } from './parameters.ts';
import { jsonResponse } from './response.ts';
import type { Call, Dialect, Rendered, Route } from './route.ts';
import { awaitJob, submitJob } from './run-job.ts';

const MOST_IGNORED_NAMES = 60;
const MOST_NOTES = 20;

const OPEN_TO_ALL = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': '*',
  // Pages isolated by COEP take answers from other origins only with this.
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** What all exchanges of one API have in common. */
export interface Server {
  connect: Connect;
  /** The path the app is served under: `/` or `/some/folder/`. */
  base: string;
  /** This run of the service worker. */
  session: string;
  /** Milliseconds after which an answer under way becomes a 200 whose body follows. */
  lateAfterMs?: number;
  /** Milliseconds between the blanks of such an answer. */
  lateEveryMs?: number;
  /** Called for every request, when it begins and when it is answered. */
  onRequest?: (event: ApiEvent) => void;
}

/** One request and its answer. */
export class Exchange {
  readonly #server: Server;
  readonly #dialect: Dialect;
  readonly #request: Request;
  readonly #path: string;
  readonly #startedAt = performance.now();
  readonly #id = crypto.randomUUID();
  readonly #abandoned = new AbortController();
  readonly #ignored = new Set<string>();
  /** What the jobs of this request had no effect with, as sentences. */
  readonly #notes = new Set<string>();
  readonly #line: HostLine;
  /** Jobs that this request started. */
  readonly #jobs: JobId[] = [];
  #requestBytes = 0;

  constructor(server: Server, dialect: Dialect, request: Request, path: string) {
    this.#server = server;
    this.#dialect = dialect;
    this.#request = request;
    this.#path = path;
    this.#line = openLine(server.connect);
  }

  refuseUnknownPath(): Response {
    if (this.#request.method === 'OPTIONS') return this.#permit('GET, POST, OPTIONS');
    this.#tellStart();
    return this.#finish(this.#render(this.#dialect.renderNotFound(this.#request.method, this.#path)));
  }

  async answer(routes: readonly Route[], params: Readonly<Record<string, string>>): Promise<Response> {
    const method = this.#request.method;
    const methods = routes.map((item) => item.method);
    if (method === 'OPTIONS') return this.#permit([...methods, 'OPTIONS'].join(', '));
    const found = routes.find((item) => item.method === method);
    if (!found) {
      this.#tellStart();
      const rendered = this.#dialect.renderWrongMethod(method, this.#path);
      return this.#finish(
        this.#render({ ...rendered, headers: { ...rendered.headers, Allow: methods.join(', ') } }),
      );
    }
    try {
      const prepared = await this.#prepare(found, params);
      if (prepared instanceof Response) return this.#finish(prepared);
      const work = this.#work(found, prepared).then((response) => this.#finish(response));
      const late = typeof found.late === 'function' ? found.late(this.#request) : found.late;
      if (!late) return await work;
      return await answerInTime(work, {
        afterMs: this.#server.lateAfterMs ?? 240_000,
        everyMs: this.#server.lateEveryMs ?? 5_000,
        headers: () => ({ 'Content-Type': 'application/json', ...this.#headers() }),
        onAbandon: () => this.#abandoned.abort(),
      });
    } catch (error) {
      return this.#finish(this.#renderError(error, found));
    }
  }

  /** Reads and checks the request: a call to run, or the refusal. */
  async #prepare(
    found: Route,
    params: Readonly<Record<string, string>>,
  ): Promise<Call<unknown, unknown> | Response> {
    const { received, problems } = await this.#receive(found);
    this.#requestBytes = received.bytes.length;
    this.#tellStart();
    const { bodyLimit = Infinity } = this.#dialect;
    if (received.bytes.length > bodyLimit) {
      throw new AppError('invalid_request', `The request is larger than ${bodyLimit} bytes.`, {
        detail: { status: 413 },
      });
    }

    const query = Object.fromEntries(new URL(this.#request.url).searchParams);
    const checkedQuery = found.query ? validate(schemaOf(found.query), query, 'query') : { value: undefined };
    if ('invalid' in checkedQuery) problems.push(...checkedQuery.invalid);
    const body = received.value ?? (found.bodyOptional ? {} : undefined);
    let checkedBody: ReturnType<typeof validate> = { value: undefined };
    if (found.body && problems.every((problem) => problem.rule !== 'json')) {
      checkedBody =
        body === undefined ? { invalid: [missingBody()] } : validate(schemaOf(found.body), body, 'body');
      if ('invalid' in checkedBody) problems.push(...checkedBody.invalid);
    }
    const [first, ...rest] = problems;
    if (first)
      return this.#render(
        this.#dialect.renderInvalid([first, ...rest], found.encoding === 'form' ? null : received.value),
      );
    const { ask } = this.#line;
    const signal = AbortSignal.any([this.#request.signal, this.#abandoned.signal]);
    const submit = async (job: Job, reply: JobOrigin['reply']) => {
      const id = await submitJob(ask, job, {
        client: this.#dialect.name,
        requestKey: await this.#requestKey(received),
        session: this.#server.session,
        ...(reply && { reply }),
      });
      this.#jobs.push(id);
      return id;
    };
    const value = 'value' in checkedBody ? checkedBody.value : undefined;
    const call: Call<unknown, unknown> = {
      request: this.#request,
      params,
      body: value,
      query: 'value' in checkedQuery ? checkedQuery.value : undefined,
      received: received.value,
      signal,
      ask,
      submit,
      run: async (job, reply) => {
        if (signal.aborted) throw new AppError('cancelled', 'The request was cancelled.');
        const record = await awaitJob(ask, await submit(job, reply), signal);
        this.#note(record);
        return record;
      },
      note: (record) => this.#note(record),
      ignore: (...names) => {
        for (const name of names) this.#ignored.add(name);
      },
      url: (path) => this.#url(path),
    };
    if (found.body && 'rows' in found.body && isRecord(body) && isRecord(value)) {
      call.ignore(...screenParameters(found.body, body, value));
    }
    await this.#dialect.authorize?.(call);
    return call;
  }

  #note(record: JobRecord): void {
    const { notes = [] } = record.result ?? {};
    for (const note of notes) this.#notes.add(note);
    const nameLora = (name: string) => this.#dialect.nameLora?.(name) ?? name;
    for (const name of parametersOfNotes(notes, nameLora)) this.#ignored.add(name);
  }

  async #receive(found: Route): Promise<{ received: ReceivedBody; problems: Invalid[] }> {
    if (!found.body) return { received: { value: undefined, bytes: new Uint8Array() }, problems: [] };
    if (found.encoding === 'form') return { received: await readFormBody(this.#request), problems: [] };
    const { invalid, ...received } = await readJsonBody(this.#request, this.#dialect.bodyRule);
    return { received, problems: invalid ? [invalid] : [] };
  }

  /** The route's answer or its error; never rejects. */
  async #work(found: Route, call: Call<unknown, unknown>): Promise<Response> {
    try {
      const answer = await found.run(call);
      return answer instanceof Response ? answer : jsonResponse(answer);
    } catch (error) {
      return this.#renderError(error, found);
    }
  }

  #renderError(error: unknown, found: Route): Response {
    const known = toAppError(error);
    const worded =
      known.code === 'no_engine_tab'
        ? new AppError(
            known.code,
            `No tab is running the engine: open ${this.#url('')} in a tab and keep it open.`,
          )
        : known;
    return this.#render(this.#dialect.renderError(worded, found));
  }

  #render({ status, body, headers }: Rendered): Response {
    return jsonResponse(body, status, headers);
  }

  /** The same request, sent again after the service worker was stopped, finds the job it started. */
  async #requestKey({ bytes }: ReceivedBody): Promise<string> {
    const { pathname, search } = new URL(this.#request.url);
    const start = new TextEncoder().encode(`${this.#request.method} ${pathname}${search}\n`);
    const whole = new Uint8Array(start.length + bytes.length);
    whole.set(start);
    whole.set(bytes, start.length);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  #headers(): Record<string, string> {
    const ignored = [...this.#ignored].slice(0, MOST_IGNORED_NAMES).map(headerSafe).join(', ');
    const notes = [...this.#notes].slice(0, MOST_NOTES).map(headerSafe).join(', ');
    return {
      ...OPEN_TO_ALL,
      ...this.#dialect.headers?.(performance.now() - this.#startedAt),
      ...(ignored && { 'X-Ignored-Parameters': ignored }),
      ...(notes && { 'X-Vitrine-Notes': notes }),
    };
  }

  #url(path: string): string {
    return new URL(this.#server.base + path, this.#request.url).href;
  }

  #permit(methods: string): Response {
    return new Response(null, {
      status: 204,
      headers: {
        ...OPEN_TO_ALL,
        Allow: methods,
        'Access-Control-Allow-Methods': methods,
        'Access-Control-Allow-Headers': this.#request.headers.get('Access-Control-Request-Headers') ?? '*',
        'Access-Control-Max-Age': '86400',
      },
    });
  }

  #finish(response: Response): Response {
    for (const [name, value] of Object.entries(this.#headers())) response.headers.set(name, value);
    this.#server.onRequest?.({
      ...this.#facts(),
      phase: 'end',
      status: response.status,
      ms: performance.now() - this.#startedAt,
      responseBytes: Number(response.headers.get('Content-Length') ?? 0),
    });
    void this.#hangUp();
    return response;
  }

  /** Until the host knows that its jobs are answered for, they would answer the next request like this one. */
  async #hangUp(): Promise<void> {
    const announced = this.#jobs.map((id) => this.#line.ask((host) => host.answered(id)));
    await Promise.allSettled(announced);
    this.#line.close();
  }

  #tellStart(): void {
    this.#server.onRequest?.({ ...this.#facts(), phase: 'start' });
  }

  #facts() {
    return {
      id: this.#id,
      method: this.#request.method,
      path: new URL(this.#request.url).pathname,
      dialect: this.#dialect.name,
      at: Date.now(),
      requestBytes: this.#requestBytes,
    };
  }
}

/** Header values are Latin-1 without control characters; names and sentences may be anything, commas included. */
function headerSafe(text: string): string {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}

function schemaOf(shape: NonNullable<Route['body']>): GenericSchema {
  return 'rows' in shape ? shape.schema : shape;
}

function missingBody(): Invalid {
  return { in: 'body', path: [], rule: 'missing', input: undefined, requirement: undefined };
}
