import type { Api } from '#api/index.ts';
import {} from 'vitest';
import { jsonOf, post } from './http.ts';
import { waitFor } from './wait-for.ts';

export const TEXT_TO_IMAGE = '/v1/generation/text-to-image';

/** A request that is quick to generate. */
export const EXAMPLE = {
  prompt: 'a red apple',
  negative_prompt: 'blurry',
  style_selections: [],
  aspect_ratios_selection: '256*128',
  image_seed: 1234,
};

/** An answer whose fields a test looks at by name. */
export type Json = Record<string, unknown>;

/** One image of an answer. */
export interface ImageResult {
  base64: string | null;
  url: string;
  seed: string;
  finish_reason: string;
}

/** The example with changes, as a request for JSON or, by its headers, for something else. */
export function postExample(
  api: Api,
  changes: Json = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return post(
    api,
    TEXT_TO_IMAGE,
    { ...EXAMPLE, ...changes },
    { headers: { 'Content-Type': 'application/json', ...headers } },
  );
}

/** The images of the example with changes. */
export function generate(api: Api, changes: Json = {}): Promise<ImageResult[]> {
  return jsonOf<ImageResult[]>(postExample(api, changes));
}

/** A POST of a form; a list is a part sent several times. */
export function postForm(
  api: Api,
  path: string,
  parts: Readonly<Record<string, string | Blob | readonly string[]>>,
): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    const values = typeof value === 'string' || value instanceof Blob ? [value] : value;
    for (const part of values) form.append(name, part);
  }
  return api.request(path, { method: 'POST', body: form });
}

export async function bytesOf(response: Response | Promise<Response>): Promise<Uint8Array> {
  return new Uint8Array(await (await response).arrayBuffer());
}

/** Names in `X-Ignored-Parameters`, sorted. */
export function ignoredBy(response: Response): string[] {
  return response.headers.get('X-Ignored-Parameters')?.split(', ').map(decodeURIComponent).sort() ?? [];
}

/** The answer of `query-job` once the job has ended. */
export async function untilFinished(api: Api, id: unknown): Promise<Json> {
  return waitFor(async () => {
    const job = await jsonOf<Json>(api.request(`/v1/generation/query-job?job_id=${String(id)}`));
    if (job['job_stage'] === 'WAITING' || job['job_stage'] === 'RUNNING') throw new Error('still at work');
    return job;
  });
}
