import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { request } from './request.ts';

describe('a key that is set', () => {
  const api = createApi(createFakeHost({ settings: { 'itsrose.key': 'secret' } }));
  const ask = (headers: Record<string, string>, path = '/sdapi/get_all_models') =>
    api.request(path, { headers });

  it.each([[{ Authorization: 'Bearer secret' }], [{ Authorization: 'secret' }]])(
    'lets %j in',
    async (headers) => {
      expect((await ask(headers)).status).toBe(200);
    },
  );

  it.each([
    [{}, 'Authorization header is missing'],
    [{ Authorization: 'Basic c2VjcmV0 or so' }, 'Authorization header is invalid'],
    [{ Authorization: 'Bearer wrong' }, 'Invalid or expired access token'],
  ])('answers 401 for %j', async (headers, message) => {
    const response = await ask(headers);
    expect([response.status, await jsonOf(response)]).toEqual([401, { status: false, message, result: {} }]);
    const generation = await post(api, '/sdapi/txt2img', request, {
      headers: { 'Content-Type': 'application/json', ...headers },
    });
    expect(generation.status).toBe(401);
  });

  it('is not asked for otherwise', async () => {
    const open = createApi(createFakeHost());
    expect((await open.request('/sdapi/get_all_models')).status).toBe(200);
  });
});
