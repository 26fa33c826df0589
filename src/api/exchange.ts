import { isRecord } from '#codecs/json.ts';
import { UNREPORTED_HEADER, type ApiBodies, type ApiEvent } from '#protocol/api-event.ts';
import { BACKEND_HEADER, BACKENDS, readRunsOn, type RunsOn } from '#protocol/backends.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin } from '#protocol/job.ts';
import type { GenericSchema } from 'valibot';
import { readFormBody, readJsonBody, type ReceivedBody } from './body.ts';
import { openLine, type Connect, type HostLine } from './connection.ts';
import type { Invalid } from './errors.ts';
import { validate } from './fields.ts';
import type { ActiveUpstream } from './forward.ts';
import { answerInTime } from './late-answer.ts';
import { parametersOfNotes } from './notes.ts';
import { screenParameters } from './parameters.ts';
import { Relay, type OwnAnswer } from './relay.ts';
import { isKept, reportedBodies } from './reported-bodies.ts';
import { jsonResponse } from './response.ts';
import type { Call, Dialect, Rendered, Route } from './route.ts';
import { awaitJob, submitJob } from './run-job.ts';
import { untilUnderWay } from './under-way.ts';

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
  /** Milliseconds after which an answer becomes a 200 whose body follows, in any case. */
  lateAfterMs?: number;
  /** Milliseconds after which it becomes one as soon as its job is under way, and between looks at the job. */
  underWayAfterMs?: number;
  /** Milliseconds between the blanks of such an answer. */
  lateEveryMs?: number;
  /** The server that may answer a dialect's requests in this tab's place; null for none. */
  upstreamOf?: (dialect: string) => Promise<ActiveUpstream | null>;
  /** Milliseconds that such a server has to begin an answer. */
  upstreamTimeoutMs?: number;
  /** Called for every request, when it begins and when it is answered. */
  onRequest?: (event: ApiEvent) => void;
  /** Called for every request once it is answered, a little later. */
  onBodies?: (bodies: ApiBodies) => void;
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
  /** Aborts when the client has gone. */
  readonly #signal: AbortSignal;
  readonly #ignored = new Set<string>();
  /** What the jobs of this request had no effect with, as sentences. */
  readonly #notes = new Set<string>();
  readonly #line: HostLine;
  /** Jobs that this request started. */
  readonly #jobs: JobId[] = [];
  /** How many jobs it has asked for, those that were refused too. */
  #runs = 0;
  /** The body, once it is read. */
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  readonly #relay: Relay;

  constructor(server: Server, dialect: Dialect, request: Request, path: string) {
    this.#server = server;
    this.#dialect = dialect;
    this.#request = request;
    this.#path = path;
    this.#line = openLine(server.connect);
    this.#signal = AbortSignal.any([request.signal, this.#abandoned.signal]);
    this.#relay = new Relay({
      server,
      dialect,
      request,
      path,
      signal: this.#signal,
      body: () => this.#sentBody(),
      begin: () => this.#tellStart(),
      render: (error) => this.#renderError(error),
      note: (sentence) => this.#notes.add(sentence),
    });
  }

  async refuseUnknownPath(): Promise<Response> {
    if (this.#request.method === 'OPTIONS') return this.#permit('GET, POST, OPTIONS');
    const refusal = this.#dialect.renderNotFound(this.#request.method, this.#path);
    return this.#finish(await this.#relay.answer(() => this.#refuse(refusal)));
  }

  async answer(routes: readonly Route[], params: Readonly<Record<string, string>>): Promise<Response> {
    const method = this.#request.method;
    const methods = routes.map((item) => item.method);
    if (method === 'OPTIONS') return this.#permit([...methods, 'OPTIONS'].join(', '));
    const found = routes.find((item) => item.method === method);
    if (!found) {
      const rendered = this.#dialect.renderWrongMethod(method, this.#path);
      const refusal = { ...rendered, headers: { ...rendered.headers, Allow: methods.join(', ') } };
      return this.#finish(await this.#relay.answer(() => this.#refuse(refusal)));
    }
    const work = this.#relay
      .answer(() => this.#answerHere(found, params))
      .then((response) => this.#finish(response));
    const late = typeof found.late === 'function' ? found.late(this.#request) : found.late;
    if (!late) return work;
    return answerInTime(work, {
      begin: this.#mustBegin(work),
      everyMs: this.#server.lateEveryMs ?? 5_000,
      headers: () => ({ 'Content-Type': 'application/json', ...this.#headers() }),
      onAbandon: () => this.#abandoned.abort(),
    });
  }

  #refuse(refusal: Rendered): Promise<OwnAnswer> {
    this.#tellStart();
    const failure = new AppError('not_found', `There is no ${this.#request.method} ${this.#path}.`);
    return Promise.resolve({ response: this.#render(refusal), failure });
  }

  /** This tab's answer; never rejects. */
  async #answerHere(found: Route, params: Readonly<Record<string, string>>): Promise<OwnAnswer> {
    try {
      const prepared = await this.#prepare(found, params);
      if (prepared instanceof Response) return { response: prepared, failure: null };
      return await this.#work(found, prepared);
    } catch (error) {
      return this.#failHere(error, found);
    }
  }

  /** A job that this tab has accepted is answered here, so that none is run twice. */
  #failHere(error: unknown, found: Route): OwnAnswer {
    const failure = this.#jobs.length === 0 ? toAppError(error) : null;
    return { response: this.#renderError(error, found), failure };
  }

  /** The body as it was sent. */
  async #sentBody(): Promise<Uint8Array<ArrayBuffer>> {
    return (this.#bytes ??= new Uint8Array(await this.#request.arrayBuffer()));
  }

  /** Reads and checks the request: a call to run, or the refusal. */
  async #prepare(
    found: Route,
    params: Readonly<Record<string, string>>,
  ): Promise<Call<unknown, unknown> | Response> {
    const { received, problems } = await this.#receive(found);
    if (found.body) this.#bytes = received.bytes;
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
    const signal = this.#signal;
    const runsOn = readBackendHeader(this.#request.headers);
    const submit = async (job: Job, reply: JobOrigin['reply']) => {
      const run = this.#runs++;
      if (this.#jobs.length === 0) await this.#relay.checkQueue(ask);
      const id = await submitJob(ask, job, {
        client: this.#dialect.name,
        requestKey: await this.#requestKey(received),
        ...(run > 0 && { run }),
        session: this.#server.session,
        ...(runsOn && { runsOn }),
        ...(reply && { reply }),
      }).catch((error: unknown) => {
        this.#relay.pass(toAppError(error));
        throw error;
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
      session: this.#server.session,
      ask,
      submit,
      begun: async () => {
        const request = { requestKey: await this.#requestKey(received), session: this.#server.session };
        return ask((host) => host.begun(request));
      },
      run: async (job, reply, stop) => {
        if (signal.aborted) throw new AppError('cancelled', 'The request was cancelled.');
        const ending = stop ? AbortSignal.any([signal, stop]) : signal;
        const record = await awaitJob(ask, await submit(job, reply), ending);
        this.#note(record.result?.notes ?? []);
        return record;
      },
      note: (record) => this.#note(record.result?.notes ?? []),
      ignore: (...names) => {
        for (const name of names) this.#ignored.add(name);
      },
      lack: (...names) => {
        call.ignore(...names);
        if (names.length > 0)
          this.#relay.pass(new AppError('model_not_found', `Not installed: ${names.join(', ')}.`));
      },
      url: (path) => this.#url(path),
    };
    if (found.body && 'rows' in found.body && isRecord(body) && isRecord(value)) {
      call.ignore(...screenParameters(found.body, body, value));
    }
    await this.#dialect.authorize?.(call);
    return call;
  }

  /**
   * When an answer has to begin without its status. Only then does the service worker notice that the client goes:
   * Chromium cancels the body of an answer, but aborts no `request.signal` of a fetch event. And browsers give an answer about
   * five minutes to begin.
   */
  async #mustBegin(work: Promise<Response>): Promise<void> {
    const answered = new AbortController();
    void work.then(() => answered.abort());
    const progress = await untilUnderWay({
      ask: this.#line.ask,
      job: () => this.#jobs[0],
      everyMs: this.#server.underWayAfterMs ?? 2_000,
      atMostMs: this.#server.lateAfterMs ?? 240_000,
      signal: answered.signal,
    });
    this.#note(progress?.notes ?? []);
  }

  #note(notes: readonly string[]): void {
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
  async #work(found: Route, call: Call<unknown, unknown>): Promise<OwnAnswer> {
    const again = async () => (await this.#work(found, call)).response;
    try {
      const answer = await found.run(call);
      const response = answer instanceof Response ? answer : jsonResponse(answer);
      const isMissing = response.status === 404 && this.#jobs.length === 0;
      return { response, failure: isMissing ? new AppError('not_found', 'Not found.') : null, again };
    } catch (error) {
      return { ...this.#failHere(error, found), again };
    }
  }

  #renderError(error: unknown, found?: Route): Response {
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
      ...(this.#relay.answeredBy === null && this.#dialect.headers?.(performance.now() - this.#startedAt)),
      'X-Vitrine-Answered-By': this.#relay.answeredBy ?? 'this tab',
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
    this.#report({
      ...this.#facts(),
      phase: 'end',
      status: response.status,
      answeredBy: this.#relay.answeredBy,
      ms: performance.now() - this.#startedAt,
      responseBytes: Number(response.headers.get('Content-Length') ?? 0),
    });
    this.#reportBodies(response);
    void this.#hangUp();
    return response;
  }

  #report(event: ApiEvent): void {
    if (!this.#request.headers.has(UNREPORTED_HEADER)) this.#server.onRequest?.(event);
  }

  #reportBodies(response: Response): void {
    const { onBodies } = this.#server;
    if (!onBodies || this.#request.headers.has(UNREPORTED_HEADER)) return;
    reportedBodies({
      id: this.#id,
      dialect: this.#dialect,
      request: this.#request,
      path: this.#path,
      bytes: this.#bytes,
      response: isKept(response) ? response.clone() : response,
    }).then(onBodies, () => undefined);
  }

  /** Until the host knows that its jobs are answered for, they would answer the next request like this one. */
  async #hangUp(): Promise<void> {
    const announced = this.#jobs.map((id) => this.#line.ask((host) => host.answered(id)));
    await Promise.allSettled(announced);
    this.#line.close();
  }

  #tellStart(): void {
    this.#report({ ...this.#facts(), phase: 'start' });
  }

  #facts() {
    return {
      id: this.#id,
      method: this.#request.method,
      path: new URL(this.#request.url).pathname,
      dialect: this.#dialect.name,
      at: Date.now(),
      requestBytes: this.#bytes?.length ?? 0,
    };
  }
}

/** Header values are Latin-1 without control characters; names and sentences may be anything, commas included. */
function headerSafe(text: string): string {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}

/** Where the client wants its jobs to run. @throws AppError `invalid_request` */
function readBackendHeader(headers: Headers): RunsOn | undefined {
  const value = headers.get(BACKEND_HEADER);
  if (value === null) return undefined;
  const runsOn = readRunsOn(value.trim().toLowerCase());
  if (runsOn !== undefined) return runsOn;
  const known = [...Object.keys(BACKENDS), 'any'].join(', ');
  throw new AppError('invalid_request', `${BACKEND_HEADER}: “${value}” is not one of ${known}.`);
}

function schemaOf(shape: NonNullable<Route['body']>): GenericSchema {
  return 'rows' in shape ? shape.schema : shape;
}

function missingBody(): Invalid {
  return { in: 'body', path: [], rule: 'missing', input: undefined, requirement: undefined };
}
