import type { Api } from '#api/index.ts';

/** A POST of JSON; without a value, of nothing. */
export function post(api: Api, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
  const json = { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  return api.request(path, { method: 'POST', ...(body !== undefined && json), ...init });
}

/** A response's JSON, as the test expects it to be. */
export async function jsonOf<T = unknown>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}
