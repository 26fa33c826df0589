import type { ApiEvent } from '#protocol/api-event.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin } from '#protocol/job.ts';
import { Hono } from 'hono/tiny';
import { readFormBody, readJsonBody, type ReceivedBody } from './body.ts';
import { openLine, type Connect, type HostLine } from './connection.ts';
import { dialects as allDialects } from './dialects/index.ts';
import { httpStatus, type Invalid } from './errors.ts';
import { defaultsOf, validate } from './fields.ts';
import { filesRoute } from './files.ts';
import { answerInTime } from './late-answer.ts';
import { describeApi } from './openapi.ts';
import { screenParameters } from './parameters.ts';
import { jsonResponse } from './response.ts';
import { defineDialect, route, type Call, type Dialect, type Rendered, type Route } from './route.ts';
import { awaitJob, submitJob } from './run-job.ts';

export interface ApiOptions {
  connect: Connect;
  /** The path the app is served under: `/` or `/some/folder/`. */
  base?: string;
  dialects?: readonly Dialect[];
  /** Milliseconds after which an answer under way becomes a 200 whose body follows. */
  lateAfterMs?: number;
  /** Milliseconds between the blanks of such an answer. */
  lateEveryMs?: number;
  /** Told of every request answered. */
  onRequest?: (event: ApiEvent) => void;
}

export interface Api {
  fetch(request: Request): Promise<Response>;
  /** `fetch` by path, for tests and scripts. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Whether requests to this path are answered here; told without waiting, as a fetch event needs it. */
  ownsPath(pathname: string): boolean;
}

const MOST_IGNORED_NAMES = 60;

const OPEN_TO_ALL = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': '*',
  // Pages isolated by COEP take answers from other origins only with this.
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** The whole API: requests in, responses out. It knows neither pages nor workers nor the engine. */
export function createApi(options: ApiOptions): Api {
  const base = options.base ?? '/';
  const server: Server = { ...options, base, session: crypto.randomUUID() };
  const dialects = [...(options.dialects ?? allDialects)];
  dialects.push(commonRoutes(dialects));

  const pathOf = (pathname: string) => withoutTrailingSlash(withoutBase(pathname, base));
  const app = new Hono({ getPath: (request) => pathOf(new URL(request.url).pathname) });
  for (const dialect of dialects) {
    for (const path of new Set(dialect.routes.map((item) => item.path))) {
      const routes = dialect.routes.filter((item) => item.path === path);
      for (const mounted of mountsOf(dialect, path)) {
        app.all(mounted, (context) => {
          const params = context.req.param() as Readonly<Record<string, string>>;
          return new Exchange(server, dialect, context.req.raw, mounted).answer(routes, params);
        });
      }
    }
  }
  app.notFound((context) => {
    const path = pathOf(new URL(context.req.raw.url).pathname);
    const dialect = ownerOf(dialects, path) ?? commonRoutes(dialects);
    return new Exchange(server, dialect, context.req.raw, path).refuseUnknownPath();
  });

  return {
    fetch: async (request) => app.fetch(request),
    request: async (path, init) => app.request(path, init),
    ownsPath: (pathname) => ownerOf(dialects, pathOf(pathname)) !== undefined,
  };
}

interface Server extends ApiOptions {
  base: string;
  /** This run of the service worker. */
  session: string;
}

/** One request and its answer. */
class Exchange {
  readonly #server: Server;
  readonly #dialect: Dialect;
  readonly #request: Request;
  readonly #path: string;
  readonly #startedAt = performance.now();
  readonly #id = crypto.randomUUID();
  readonly #abandoned = new AbortController();
  readonly #ignored = new Set<string>();
  readonly #line: HostLine;
  /** Jobs that this request asked for. */
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
      return this.#finish(this.#renderError(error));
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
    const checkedQuery = found.query ? validate(found.query, query, 'query') : { value: undefined };
    if ('invalid' in checkedQuery) problems.push(...checkedQuery.invalid);
    const body = received.value ?? (found.bodyOptional ? {} : undefined);
    let checkedBody: ReturnType<typeof validate> = { value: undefined };
    if (found.body && problems.every((problem) => problem.rule !== 'json')) {
      checkedBody = body === undefined ? { invalid: [missingBody()] } : validate(found.body, body, 'body');
      if ('invalid' in checkedBody) problems.push(...checkedBody.invalid);
    }
    const [first, ...rest] = problems;
    if (first)
      return this.#render(
        this.#dialect.renderInvalid([first, ...rest], found.encoding === 'form' ? null : received.value),
      );
    if (found.parameters && found.body && isObject(body)) {
      const names = screenParameters(found.parameters, body, defaultsOf(found.body));
      for (const name of names) this.#ignored.add(name);
    }
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
    return {
      request: this.#request,
      params,
      body: 'value' in checkedBody ? checkedBody.value : undefined,
      query: 'value' in checkedQuery ? checkedQuery.value : undefined,
      received: received.value,
      signal,
      ask,
      submit,
      run: async (job, reply) => {
        if (signal.aborted) throw new AppError('cancelled', 'The request was cancelled.');
        return awaitJob(ask, await submit(job, reply), signal);
      },
      ignore: (...names) => {
        for (const name of names) this.#ignored.add(name);
      },
      url: (path) => this.#url(path),
    };
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
      return this.#renderError(error);
    }
  }

  #renderError(error: unknown): Response {
    const known = toAppError(error);
    const told =
      known.code === 'no_engine_tab'
        ? new AppError(
            known.code,
            `No tab is running the engine: open ${this.#url('')} in a tab and keep it open.`,
          )
        : known;
    return this.#render(this.#dialect.renderError(told));
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
    return {
      ...OPEN_TO_ALL,
      ...this.#dialect.headers?.(performance.now() - this.#startedAt),
      ...(ignored && { 'X-Ignored-Parameters': ignored }),
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
    const told = this.#jobs.map((id) => this.#line.ask((host) => host.answered(id)));
    await Promise.allSettled(told);
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

/** What belongs to no dialect: the images' URLs and the description of it all. */
function commonRoutes(dialects: readonly Dialect[]): Dialect {
  const described = dialects.filter((dialect) => dialect.prefix !== null);
  const renderMessage = (status: number, message: string): Rendered => ({ status, body: { error: message } });
  return defineDialect({
    name: 'vitrine',
    title: 'Vitrine',
    prefix: null,
    roots: ['/files/', '/openapi.json'],
    bodyRule: 'lenient',
    routes: [
      filesRoute,
      route({
        method: 'GET',
        path: '/openapi.json',
        summary: 'This description',
        run: (call) => Promise.resolve(describeApi(described, call.url('').replace(/\/$/, ''))),
      }),
    ],
    renderError: (error) => renderMessage(httpStatus(error), error.message),
    renderInvalid: ([invalid]) => renderMessage(400, `Invalid ${invalid.path.join('.')}`),
    renderNotFound: (method, path) => renderMessage(404, `There is no ${method} ${path}.`),
    renderWrongMethod: (method, path) => renderMessage(405, `${path} has no ${method}.`),
  });
}

function mountsOf(dialect: Dialect, path: string): string[] {
  return dialect.prefix === null ? [path] : [path, dialect.prefix + path];
}

/** The dialect in whose shape this path is answered, found or not. */
function ownerOf(dialects: readonly Dialect[], path: string): Dialect | undefined {
  const rooted = dialects.flatMap((dialect) => [
    ...dialect.roots.map((root) => ({ dialect, root })),
    ...(dialect.prefix === null ? [] : [{ dialect, root: `${dialect.prefix}/` }]),
  ]);
  const owning = rooted.filter(({ root }) =>
    root.endsWith('/') ? `${path}/`.startsWith(root) : path === root,
  );
  return owning.sort((a, b) => b.root.length - a.root.length)[0]?.dialect;
}

function withoutBase(pathname: string, base: string): string {
  return pathname.startsWith(base) ? `/${pathname.slice(base.length)}` : pathname;
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

/** Header values are Latin-1 without control characters; parameter names may be anything. */
function headerSafe(name: string): string {
  return /^[\x21-\x7e]+$/.test(name) ? name : encodeURIComponent(name.toWellFormed());
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function missingBody(): Invalid {
  return { in: 'body', path: [], rule: 'missing', input: undefined, requirement: undefined };
}
