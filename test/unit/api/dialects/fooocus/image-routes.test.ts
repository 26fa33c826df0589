import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { EXAMPLE, type ImageResult, type Json, postForm } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('endpoints for images', () => {
  const base64 = Buffer.from('image').toString('base64');

  it('text-to-image-with-ip generates from the prompt when there are no image prompts', async () => {
    const api = createApi(createFakeHost());
    const path = '/v2/generation/text-to-image-with-ip';
    for (const image_prompts of [undefined, [], [{ cn_img: 'None' }, { cn_img: null }]]) {
      const results = await jsonOf<ImageResult[]>(post(api, path, { ...EXAMPLE, image_prompts }));
      expect(results).toMatchObject([{ seed: '1234', finish_reason: 'SUCCESS' }]);
    }
  });

  it.each([
    ['/v2/generation/image-upscale-vary', {}, 'input_image', 'missing'],
    ['/v2/generation/image-upscale-vary', { input_image: '%%%' }, 'input_image', 'value_error'],
    ['/v2/generation/image-upscale-vary', { input_image: base64, uov_method: 'Grow' }, 'uov_method', 'enum'],
    ['/v2/generation/image-prompt', {}, 'image_prompts', 'missing'],
    ['/v2/generation/image-enhance', {}, 'enhance_ctrlnets', 'missing'],
    ['/v1/tools/generate_mask', {}, 'image', 'missing'],
  ])('POST %s %o is a 422 for %s', async (path, fields, name, type) => {
    const response = await post(createApi(createFakeHost()), path, fields);
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({ detail: [{ type, loc: ['body', name] }] });
  });

  it('a form without images generates from its prompt', async () => {
    const host = createFakeHost();
    const response = await postForm(createApi(host), '/v1/generation/image-prompt', {
      prompt: 'a red apple',
      style_selections: ['Fooocus Sharp, Fooocus Masterpiece', 'SAI Anime'],
      image_number: '2',
      image_seed: '5',
      aspect_ratios_selection: '256*256',
      sharpness: '',
      require_base64: 'True',
      loras: '[{"enabled": false, "model_name": "a.safetensors"}]',
      advanced_params: '{"overwrite_step": 3}',
    });
    expect(response.status).toBe(200);
    const results = await jsonOf<ImageResult[]>(response);
    expect(results.map(({ seed }) => seed)).toEqual(['5', '6']);
    expect(results[0]?.base64).toMatch(/^data:image\/png;base64,/);
    expect(host.jobs[0]).toMatchObject({
      passes: [{ steps: 3, guidanceScale: 7 }],
      output: { metadata: null },
    });
    expect(host.jobs[0]?.output.texts).toBeUndefined();
    expect(host.jobs[0]?.images[0]?.prompt.length).toBeGreaterThan(2);
  });

  it('a form takes all defaults for advanced_params that are wrong, and a 422 for wrong LoRAs', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const parts = { aspect_ratios_selection: '256*256', style_selections: '' };
    await postForm(api, '/v1/generation/image-prompt', {
      ...parts,
      advanced_params: '{"overwrite_step": 999}',
    });
    expect(host.jobs[0]).toMatchObject({ passes: [{ steps: 30 }] });
    const wrong = await postForm(api, '/v1/generation/image-prompt', { ...parts, loras: 'no JSON' });
    expect(wrong.status).toBe(422);
    expect(await jsonOf<Json>(wrong)).toMatchObject({
      detail: [{ type: 'list_type', loc: ['body', 'loras'] }],
      body: null,
    });
  });

  it('a text where a file belongs is a 422', async () => {
    const response = await postForm(createApi(createFakeHost()), '/v1/tools/describe-image', {
      image: 'text',
    });
    expect(response.status).toBe(422);
  });
});
