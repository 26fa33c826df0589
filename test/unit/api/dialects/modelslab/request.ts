import type { Api } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';

export const BASE = '/api/v1/enterprise';

/** The documentation's example, with the built-in model. */
export const example = {
  key: 'any key',
  model_id: 'emoji-mini',
  prompt: 'a red apple',
  negative_prompt: null,
  width: '512',
  height: '256',
  samples: '1',
  num_inference_steps: '30',
  safety_checker: 'yes',
  enhance_prompt: 'no',
  seed: 1234,
  guidance_scale: 7.5,
  scheduler: 'UniPCMultistepScheduler',
  webhook: null,
  track_id: null,
};

/** A request to an endpoint by its name, or to a path. */
export function post(
  api: Api,
  endpoint: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return api.request(endpoint.startsWith('/') ? endpoint : `${BASE}/${endpoint}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

export async function answerOf(response: Response | Promise<Response>) {
  return (await (await response).json()) as Record<string, unknown>;
}

/** The colour of the first pixel of the image at an address. */
export async function colourAt(api: Api, url: string): Promise<number[]> {
  const image = decodePng(new Uint8Array(await (await api.request(url)).arrayBuffer()));
  return [...image.data.slice(0, 3)];
}
