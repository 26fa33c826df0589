import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { request } from './request.ts';

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

  it.each([
    ['/sdapi/img2img', { init_image: 'x' }, "'img2img' needs image-to-image"],
    ['/sdapi/inpaint', { init_image: 'x', mask_image: 'x' }, "'inpaint' needs inpainting"],
  ])('%s is checked in full, then refused by name', async (path, images, message) => {
    const api = createApi(createFakeHost());
    const incomplete = await post(api, path, request);
    expect([incomplete.status, await jsonOf(incomplete)]).toEqual([
      400,
      expect.objectContaining({ message: "must have required property 'init_image'" }),
    ]);
    const complete = await post(api, path, { ...request, ...images });
    expect([complete.status, await jsonOf(complete)]).toEqual([
      400,
      { status: false, message: `${message}, which is not available here yet.`, result: {} },
    ]);
  });

  it('generate_prompt is refused by name', async () => {
    const response = await createApi(createFakeHost()).request('/sdapi/generate_prompt?init_image=x');
    expect(await jsonOf(response)).toMatchObject({
      message: expect.stringContaining('a model that describes images') as string,
    });
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
