import { Hono } from 'hono/tiny';
import { dialects as allDialects } from './dialects/index.ts';
import { httpStatus } from './errors.ts';
import { Exchange, type Server } from './exchange.ts';
import { filesRoute } from './files.ts';
import { describeApi } from './openapi.ts';
import { defineDialect, route, type Dialect, type Rendered } from './route.ts';

export interface ApiOptions extends Omit<Server, 'base' | 'session'> {
  /** The path the app is served under: `/` or `/some/folder/`. */
  base?: string;
  dialects?: readonly Dialect[];
}

export interface Api {
  fetch(request: Request): Promise<Response>;
  /** `fetch` by path, for tests and scripts. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Whether requests to this path are answered here; synchronous, as a fetch event needs it. */
  ownsPath(pathname: string): boolean;
  /** Whether a path of a service's own host is one of its API. @param dialect its name */
  ownsPathOf(dialect: string, pathname: string): boolean;
}

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
    ownsPathOf: (name, pathname) => {
      const own = dialects
        .filter((dialect) => dialect.name === name)
        .map((dialect) => ({ ...dialect, prefix: null }));
      return ownerOf(own, withoutTrailingSlash(pathname)) !== undefined;
    },
  };
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
