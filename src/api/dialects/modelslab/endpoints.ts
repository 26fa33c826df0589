import type { Parameters } from '#api/parameters.ts';
import { route, type Call, type Output, type Route } from '#api/route.ts';
import { AppError } from '#protocol/error.ts';
import type * as v from 'valibot';

export const BASE = '/api/v1/enterprise';

/** Where the service and its SDK send generations and what belongs to them. */
const GENERATION_BASES = [BASE, `${BASE}/images`, `${BASE}/realtime`, '/api/v6/images', '/api/v6/realtime'];

/** Where its SDK sends what changes images. */
const EDITING_BASES = [`${BASE}/image_editing`, '/api/v6/image_editing'];

/** The paths of a generation's endpoint. */
export function inGenerationBases(name: string): string[] {
  return GENERATION_BASES.map((base) => `${base}/${name}`);
}

/** The paths of an endpoint that changes images. */
export function inEditingBases(name: string): string[] {
  return EDITING_BASES.map((base) => `${base}/${name}`);
}

interface Endpoint<Body extends Parameters> {
  summary: string;
  body: Body;
  answer?: v.GenericSchema;
  status?: 'no-effect';
  /** See {@link Route}. */
  late?: true;
  run: (call: Call<Output<Body>, undefined>) => Promise<unknown>;
}

/** The routes of one endpoint under several paths. All are POST, and all want a key. */
export function endpoints<Body extends Parameters>(
  paths: readonly string[],
  endpoint: Endpoint<Body>,
): Route[] {
  return paths.map((path) => route<Body>({ ...endpoint, method: 'POST', path, bodyOptional: true }));
}

/** Setting: the only key accepted; empty accepts every key. */
const KEY_SETTING = 'modelslab.key';

/** Checks a request's key. @throws AppError `unauthorized` */
export async function checkKey({ body, request, ask }: Call<unknown, unknown>): Promise<void> {
  const sent = typeof body === 'object' && body !== null && 'key' in body ? body.key : undefined;
  // Images are fetched by their URLs alone.
  if (request.method === 'GET') return;
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.get('Authorization') ?? '')?.[1];
  const key = sent ?? bearer;
  const { [KEY_SETTING]: wanted } = await ask((host) => host.settings());
  if (key === undefined || (typeof wanted === 'string' && wanted !== '' && key !== wanted)) {
    throw new AppError('unauthorized', 'Invalid API key');
  }
}
