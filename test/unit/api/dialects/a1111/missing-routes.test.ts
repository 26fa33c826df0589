import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { post } from '../../../../support/http.ts';

describe('routes that are not built', () => {
  it.each([
    ['interrogate', { image: null }, 404, 'Image not found'],
    ['interrogate', { image: 'x', model: 'blip9' }, 404, 'Model not found'],
  ])('%s %j is refused', async (path, body, status, detail) => {
    const response = await post(createApi(createFakeHost()), `/sdapi/v1/${path}`, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: 'HTTPException', detail, body: '', errors: '' });
  });
});
