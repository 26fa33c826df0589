import type { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobRecord } from '#protocol/job.ts';
import type * as v from 'valibot';
import type { BodyRule } from './body.ts';
import type { Ask } from './connection.ts';
import type { Invalid } from './errors.ts';
import type { ParameterTable } from './parameters.ts';

type Schema = v.GenericSchema;
type Output<S> = S extends Schema ? v.InferOutput<S> : undefined;

/** A request that has passed validation, and what its route may do with it. */
export interface Call<Body, Query> {
  request: Request;
  body: Body;
  query: Query;
  /** Values of the `:names` in the route's path. */
  params: Readonly<Record<string, string>>;
  /** The body as received, unknown keys and all; undefined when there was none. */
  received: unknown;
  /** Aborts when the client has gone. */
  signal: AbortSignal;
  /** Asks the hosting tab, or its successor. @throws AppError `no_engine_tab` */
  ask: Ask;
  /**
   * Runs a job to its end.
   * @param reply kept with the job, see JobOrigin
   * @throws AppError its failure; `cancelled` when the client has gone
   */
  run: (job: Job, reply?: JobOrigin['reply']) => Promise<JobRecord>;
  /** Queues a job without waiting; it outlives the request. */
  submit: (job: Job, reply?: JobOrigin['reply']) => Promise<JobId>;
  /** Names parameters without effect in the answer's `X-Ignored-Parameters`. */
  ignore: (...names: string[]) => void;
  /** The absolute URL of a path of this app; `path` has no leading slash. */
  url: (path: string) => string;
}

export interface RouteDefinition<Body extends Schema | undefined, Query extends Schema | undefined> {
  method: 'GET' | 'POST' | 'DELETE';
  /** From the origin; `:name` takes one segment. */
  path: string;
  /** One line for the OpenAPI document. */
  summary: string;
  query?: Query;
  body?: Body;
  /** A body that need not be sent: its absence is `{}`. */
  bodyOptional?: boolean;
  encoding?: 'json' | 'form';
  /** The shape of a 200, for the OpenAPI document. */
  answer?: Schema;
  /** What each parameter of the body does; routes without a table make use of all. */
  parameters?: ParameterTable;
  /** The answer may take minutes, and bears white space before it: see late-answer.ts. */
  late?: boolean | ((request: Request) => boolean);
  /** The answer: a JSON value, or a finished Response. @throws AppError, worded by the dialect */
  run: (call: Call<Output<Body>, Output<Query>>) => Promise<unknown>;
}

/** A route whose types have done their work. */
export type Route = Omit<RouteDefinition<Schema | undefined, Schema | undefined>, 'run'> & {
  run: (call: Call<unknown, unknown>) => Promise<unknown>;
};

/** Declares a route; `run` sees body and query as their schemas make them. */
export function route<
  Body extends Schema | undefined = undefined,
  Query extends Schema | undefined = undefined,
>(definition: RouteDefinition<Body, Query>): Route {
  const { run, ...rest } = definition;
  return { ...rest, run: (call) => run(call as Call<Output<Body>, Output<Query>>) };
}

/** An answer other than a plain 200. */
export interface Rendered {
  status: number;
  body: unknown;
  headers?: Readonly<Record<string, string>>;
}

/** A service's API: its routes and the shapes of its errors. */
export interface Dialect {
  /** Lower-case name; the origin of its jobs. */
  name: string;
  title: string;
  /** Everything is mounted under this a second time, for clients that can choose a base URL: `/a1111`. */
  prefix: string | null;
  /** What it answers besides its routes, with its own 404: `/sdapi/v1/` is a subtree, `/ping` one path. */
  roots: readonly string[];
  bodyRule: BodyRule;
  /** Bytes of a body beyond which the answer is 413. */
  bodyLimit?: number;
  routes: readonly Route[];
  renderError(error: AppError): Rendered;
  renderInvalid(invalid: readonly [Invalid, ...Invalid[]], received: unknown): Rendered;
  renderNotFound(method: string, path: string): Rendered;
  /** Without the `Allow` header, which is added. */
  renderWrongMethod(method: string, path: string): Rendered;
  /** Headers of every answer. */
  headers?(elapsedMs: number): Readonly<Record<string, string>>;
}

/** Declares a dialect. */
export function defineDialect(dialect: Dialect): Dialect {
  return dialect;
}
