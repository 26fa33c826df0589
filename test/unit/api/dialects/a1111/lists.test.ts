import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('lists', () => {
  it.each([
    ['samplers', 20, { name: 'DPM++ 2M', aliases: ['k_dpmpp_2m'], options: { scheduler: 'karras' } }],
    [
      'schedulers',
      12,
      { name: 'automatic', label: 'Automatic', aliases: null, default_rho: -1, need_inner_model: false },
    ],
    ['upscalers', 3, { name: 'None', model_name: null, model_path: null, model_url: null, scale: 4 }],
    ['latent-upscale-modes', 6, { name: 'Latent' }],
    [
      'sd-models',
      1,
      {
        title: 'emoji-mini.safetensors [0123456789]',
        model_name: 'emoji-mini',
        hash: '0123456789',
        sha256: expect.stringMatching(/^[\da-f]{64}$/) as string,
        filename: 'models/Stable-diffusion/emoji-mini.safetensors',
        config: null,
      },
    ],
    ['sd-vae', 0, undefined],
    ['hypernetworks', 0, undefined],
    ['face-restorers', 1, { name: 'Detail (built in)', cmd_dir: null }],
    ['realesrgan-models', 0, undefined],
    ['loras', 0, undefined],
    ['extensions', 0, undefined],
    ['script-info', 23, { name: 'comments', is_alwayson: true, is_img2img: false, args: [] }],
  ])('%s', async (path, length, first) => {
    const list = await jsonOf<unknown[]>(createApi(createFakeHost()).request(`/sdapi/v1/${path}`));
    expect(list).toHaveLength(length);
    expect(list[0]).toEqual(first);
  });

  it('tells of installed add-ons', async () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('vae', 'soft'),
      testAddOn('embedding', 'bad-hands', { family: 'emoji-mini', sizeBytes: 3 * 256 * 4 + 200 }),
      testAddOn('embedding', 'large', { family: 'sdxl', sizeBytes: 2048 * 4 + 200 }),
      testAddOn('lora', 'on-its-way', { installed: false }),
      testAddOn('upscaler', '4x-sharp'),
    ];
    const api = createApi(createFakeHost({ addOns }));
    const get = (path: string) => jsonOf(api.request(`/sdapi/v1/${path}`));
    expect(await get('loras')).toEqual([
      { name: 'shiny', alias: 'shiny', path: 'models/Lora/shiny.safetensors', metadata: {} },
    ]);
    expect(await get('sd-vae')).toEqual([
      { model_name: 'soft.safetensors', filename: 'models/VAE/soft.safetensors' },
    ]);
    const path = 'models/ESRGAN/4x-sharp.safetensors';
    expect(await get('upscalers')).toEqual(
      ['None', 'Lanczos', 'Nearest', '4x-sharp'].map((name) => ({
        name,
        model_name: null,
        model_path: name === '4x-sharp' ? path : null,
        model_url: null,
        scale: 4,
      })),
    );
    expect(await get('realesrgan-models')).toEqual([{ name: '4x-sharp', path, scale: 4 }]);
    const unknown = { step: null, sd_checkpoint: null, sd_checkpoint_name: null };
    expect(await get('embeddings')).toEqual({
      loaded: { 'bad-hands': { ...unknown, shape: 256, vectors: 3 } },
      skipped: { large: { ...unknown, shape: 2048, vectors: 1 } },
    });
  });

  it('names a checkpoint without its hash while that is unknown', async () => {
    const api = createApi(createFakeHost({ models: [{ ...TEST_MODEL, sha256: '' }] }));
    const [model] = await jsonOf<{ title: string }[]>(api.request('/sdapi/v1/sd-models'));
    expect(model?.title).toBe('emoji-mini.safetensors');
  });

  it('has 126 flags, 277 styles and the rest', async () => {
    const api = createApi(createFakeHost());
    const get = (path: string) => jsonOf(api.request(path));
    expect(Object.keys((await get('/sdapi/v1/cmd-flags')) as object)).toHaveLength(126);
    expect(await get('/sdapi/v1/prompt-styles')).toHaveLength(277);
    expect(await get('/sdapi/v1/embeddings')).toEqual({ loaded: {}, skipped: {} });
    expect(await get('/sdapi/v1/memory')).toMatchObject({ cuda: { error: 'unavailable' } });
    expect(await get('/internal/ping')).toEqual({});
    expect(await get('/internal/pending-tasks')).toEqual({ size: 0, tasks: [] });
  });

  it.each([
    ['/sdapi/v1/refresh-checkpoints', null],
    ['/sdapi/v1/refresh-loras', null],
    ['/sdapi/v1/unload-checkpoint', {}],
    ['/sdapi/v1/interrupt', {}],
    ['/sdapi/v1/skip', null],
  ])('POST %s answers %j', async (path, answer) => {
    const response = await post(createApi(createFakeHost()), path);
    expect([response.status, await response.json()]).toEqual([200, answer]);
  });
});
