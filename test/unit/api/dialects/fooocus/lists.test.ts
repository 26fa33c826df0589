import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { type Json } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf } from '../../../../support/http.ts';

describe('lists and the rest', () => {
  it.each([
    ['GET', '/ping', 'pong'],
    ['GET', '/fooocus/ping', 'pong'],
    ['GET', '/v1/engines/clean_vram', { message: 'ok' }],
    ['GET', '/v1/engines/all-models', { model_filenames: ['emoji-mini.safetensors'], lora_filenames: [] }],
    [
      'POST',
      '/v1/engines/refresh-models',
      { model_filenames: ['emoji-mini.safetensors'], lora_filenames: [] },
    ],
  ])('%s %s', async (method, path, answer) => {
    expect(await jsonOf<Json>(createApi(createFakeHost()).request(path, { method }))).toEqual(answer);
  });

  it('lists 279 styles, the two without texts first', async () => {
    const names = await jsonOf<string[]>(createApi(createFakeHost()).request('/v1/engines/styles'));
    expect(names).toHaveLength(279);
    expect(names.slice(0, 3)).toEqual(['Fooocus V2', 'Random Style', 'Fooocus Enhance']);
  });
});
