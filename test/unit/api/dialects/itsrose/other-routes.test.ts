import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('other routes', () => {
  it('lists models and schedulers', async () => {
    const api = createApi(createFakeHost());
    expect(await jsonOf(api.request('/sdapi/get_all_models?server_id=rose'))).toEqual({
      status: true,
      message: 'success',
      result: { models: ['emoji-mini'] },
    });
    const { result } = await jsonOf<{ result: { schedulers: string[] } }>(
      api.request('/sdapi/schedulers_list'),
    );
    expect(result.schedulers).toHaveLength(18);
  });

  it('answers 404 to what there is not', async () => {
    const unknown = await post(createApi(createFakeHost()), '/sdapi/x', {});
    expect([unknown.status, await jsonOf(unknown)]).toEqual([
      404,
      {
        status: false,
        message: 'Route POST:/sdapi/x not found - Please check your URL and try again.',
        result: {},
      },
    ]);
  });
});
