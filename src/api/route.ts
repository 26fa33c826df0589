import type { Capability, MissingCapability } from '#protocol/capabilities.ts';
import type { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobRecord } from '#protocol/job.ts';
import type * as v from 'valibot';
import type { BodyRule } from './body.ts';
import type { Ask } from './connection.ts';
import type { Invalid } from './errors.ts';
import type { Service } from './forward.ts';
import { missingCapability, type BodyOf, type Parameters } from './parameters.ts';
import type { Webhook, WebhookCall } from './webhooks.ts';

/** What a body or a query has to be: parameters, or any schema where they are not known by name. */
type Shape = v.GenericSchema | Parameters;
/** What a shape makes of a request. */
export type Output<S> = S extends Parameters
  ? BodyOf<S>
  : S extends v.GenericSchema
    ? v.InferOutput<S>
    : undefined;

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
  /** The run of the service worker that the request came to. */
  session: string;
  /** Asks the hosting tab, or its successor. @throws AppError `no_engine_tab` */
  ask: Ask;
  /**
   * Runs a job to its end.
   * @param reply kept with the job, see JobOrigin
   * @param stop ends the job, as the client's going does
   * @throws AppError its failure; `cancelled` when the client has gone
   */
  run: (job: Job, reply?: JobOrigin['reply'], stop?: AbortSignal) => Promise<JobRecord>;
  /** Where a job of this request came from that an earlier run of the service worker began and did not answer. */
  begun: () => Promise<JobOrigin | undefined>;
  /** Queues a job without waiting; it outlives the request. */
  submit: (job: Job, reply?: JobOrigin['reply']) => Promise<JobId>;
  /** Names parameters without effect in the answer's `X-Ignored-Parameters`. */
  ignore: (...names: string[]) => void;
  /**
   * The same of parameters that name something that is not installed, before the first job: an upstream may have it.
   * @throws AppError `model_not_found` when the request is left to the upstream
   */
  lack: (...names: string[]) => void;
  /** Puts the notes of a job's result into the answer's headers; {@link run} does this already. */
  note: (record: JobRecord) => void;
  /** The absolute URL of a path of this app; `path` has no leading slash. */
  url: (path: string) => string;
}

/** What all routes have. */
interface RouteFacts<Body extends Shape | undefined, Query extends Shape | undefined> {
  method: 'GET' | 'POST' | 'DELETE';
  /** From the origin; `:name` takes one segment. */
  path: string;
  /** What it answers with, for the OpenAPI document: a few words. */
  summary: string;
  query?: Query;
  /** Parameters are screened before the route runs: see {@link screenParameters}. */
  body?: Body;
  /** A body that need not be sent: its absence is `{}`. */
  bodyOptional?: boolean;
  encoding?: 'json' | 'form';
  /** The shape of a 200, for the OpenAPI document. */
  answer?: v.GenericSchema;
  /** The answer may take minutes, and bears white space before it: see late-answer.ts. */
  late?: boolean | ((request: Request) => boolean);
}

interface RouteDefinition<Body extends Shape | undefined, Query extends Shape | undefined> extends RouteFacts<
  Body,
  Query
> {
  /** `no-effect`: accepted for compatibility alone. */
  status?: 'ok' | 'no-effect';
  /** The answer: a JSON value, or a finished Response. @throws AppError, worded by the dialect */
  run: (call: Call<Output<Body>, Output<Query>>) => Promise<unknown>;
}

interface MissingRouteDefinition<
  Body extends Shape | undefined,
  Query extends Shape | undefined,
> extends RouteFacts<Body, Query> {
  needs: MissingCapability;
  /** What the original refuses by looking at more than types; goes before the missing capability. @throws AppError */
  check?: (call: Call<Output<Body>, Output<Query>>) => void;
}

/** A route whose types have done their work. */
export interface Route extends RouteFacts<Shape | undefined, Shape | undefined> {
  status: 'ok' | 'no-effect' | { needs: Capability };
  run: (call: Call<unknown, unknown>) => Promise<unknown>;
}

/** Declares a route; `run` sees body and query as their schemas make them. */
export function route<
  Body extends Shape | undefined = undefined,
  Query extends Shape | undefined = undefined,
>(definition: RouteDefinition<Body, Query>): Route {
  const { run, ...rest } = definition;
  return { status: 'ok', ...rest, run: (call) => run(call as Call<Output<Body>, Output<Query>>) };
}

/**
 * Declares a route of the original whose capability is not built: a request is validated in full, then refused with the
 * capability's name.
 */
export function missingRoute<
  Body extends Shape | undefined = undefined,
  Query extends Shape | undefined = undefined,
>(definition: MissingRouteDefinition<Body, Query>): Route {
  const { needs, check, ...rest } = definition;
  const name = definition.path.split('/').at(-1) ?? '';
  return {
    ...rest,
    status: { needs },
    run: async (call) => {
      check?.(call as Call<Output<Body>, Output<Query>>);
      return Promise.reject(missingCapability(`'${name}'`, needs));
    },
  };
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
  /** The real servers of this API; without it, there are none. */
  service?: Service;
  /** What it answers besides its routes, with its own 404: `/sdapi/v1/` is a subtree, `/ping` one path. */
  roots: readonly string[];
  bodyRule: BodyRule;
  /** Bytes of a body beyond which the answer is 413. */
  bodyLimit?: number;
  routes: readonly Route[];
  /** Checks the key of a validated request. @throws AppError `unauthorized` */
  authorize?(call: Call<unknown, unknown>): Promise<void>;
  /** How a request names a LoRA, for the parameters without effect: `prompt.<lora:name>`. */
  nameLora?(name: string): string;
  /** What the client's server receives at a job's end; null where the request named none. */
  webhook?(call: WebhookCall, record: JobRecord): Promise<Webhook | null>;
  /** @param route the one that failed, where it had been found */
  renderError(error: AppError, route?: Route): Rendered;
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
