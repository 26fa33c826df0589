import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';

const png = encodePng({ width: 8, height: 8, channels: 3, data: new Uint8Array(8 * 8 * 3) });

const request = {
  ...example,
  model_id: 'photo',
  init_image: `data:image/png;base64,${toBase64(png)}`,
  controlnet_model: 'canny',
};

const models = [OWN_GRAPHS_MODEL];
const addOns = [
  testAddOn('controlnet', 'control_v11p_sd15_canny', { family: 'sd1' }),
  testAddOn('controlnet', 'control_v11f1p_sd15_depth', { family: 'sd1' }),
  testAddOn('controlnet', 'xinsir-tile-sdxl', { family: 'sdxl' }),
  testAddOn('controlnet', 'control_v11p_sd15_lineart', { family: 'sd1' }),
  testAddOn('controlnet', 'control_v11p_sd15_scribble', { family: 'sd1' }),
  testAddOn('controlnet', 'control_v11p_sd15_inpaint', { family: 'sd1' }),
];

describe('controlnet', () => {
  it('takes init_image as the control image of the ControlNet of a type', async () => {
    const host = createFakeHost({ models, addOns });
    const body = { ...request, auto_hint: 'yes', controlnet_conditioning_scale: '0.7' };
    const answer = await answerOf(post(createApi(host), 'controlnet', body));
    expect(answer).toMatchObject({
      status: 'success',
      meta: {
        controlnet_model: 'control_v11p_sd15_canny',
        controlnet_conditioning_scale: 0.7,
        auto_hint: 'yes',
      },
    });
    const [job] = host.jobs;
    expect(job).toMatchObject({ init: { from: 'noise' }, passes: [{ model: 'photo' }] });
    expect(job?.controls).toEqual([
      {
        id: 'control_v11p_sd15_canny',
        image: expect.any(Blob) as Blob,
        fit: 'stretch',
        preprocessor: { kind: 'canny', low: 100, high: 200 },
        strength: 0.7,
        start: 0,
        end: 1,
        balance: 'even',
      },
    ]);
    expect(new Uint8Array((await job?.controls?.[0]?.image?.arrayBuffer()) ?? [])).toEqual(png);
  });

  it('takes several by their names, and maps that are finished', async () => {
    const host = createFakeHost({ models, addOns });
    const body = {
      ...request,
      controlnet_model: 'control_v11p_sd15_canny, Depth',
      controlnet_type: 'canny, depth',
    };
    expect((await post(createApi(host), 'controlnet', body)).status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([
      { id: 'control_v11p_sd15_canny', preprocessor: { kind: 'none' } },
      { id: 'control_v11f1p_sd15_depth', preprocessor: { kind: 'none' } },
    ]);
  });

  it('starts from init_image where the control image is another one', async () => {
    const host = createFakeHost({ models, addOns });
    const edges = encodePng({ width: 4, height: 4, channels: 3, data: new Uint8Array(48).fill(255) });
    const body = { ...request, control_image: toBase64(edges), strength: '0.55' };
    const { meta } = await answerOf(post(createApi(host), 'controlnet', body));
    const [job] = host.jobs;
    expect(job).toMatchObject({
      init: { from: 'image', rules: 'diffusers', fit: 'stretch' },
      passes: [{ strength: 0.55 }],
    });
    expect(new Uint8Array((await job?.controls?.[0]?.image?.arrayBuffer()) ?? [])).toEqual(edges);
    const start = job?.init.from === 'image' ? job.init.images[0] : undefined;
    expect(new Uint8Array((await start?.arrayBuffer()) ?? [])).toEqual(png);
    // What is sent as text is not sent back.
    expect(meta).toMatchObject({ init_image: null, control_image: null, strength: 0.55 });
  });

  it('generates what the mask shows, steered by init_image', async () => {
    const host = createFakeHost({ models, addOns });
    const body = { ...request, mask_image: request.init_image };
    expect((await post(createApi(host), 'controlnet', body)).status).toBe(200);
    const [job] = host.jobs;
    expect(job).toMatchObject({ init: { from: 'masked' }, passes: [{ strength: 0.7 }] });
    expect(new Uint8Array((await job?.controls?.[0]?.image?.arrayBuffer()) ?? [])).toEqual(png);
  });

  it.each([
    ['lineart', 'lineart_standard'],
    ['scribble', 'scribble_xdog'],
  ])('finds the lines of a photograph for %s', async (type, name) => {
    const host = createFakeHost({ models, addOns });
    const body = { ...request, controlnet_model: type, auto_hint: 'yes' };
    expect((await post(createApi(host), 'controlnet', body)).status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([
      { preprocessor: { kind: 'module', name, resolution: 512 } },
    ]);
  });

  it.each([
    ['openpose', { kind: 'openpose', resolution: 512 }],
    ['depth', { kind: 'depth', model: 'depth-anything', resolution: 512 }],
    ['normal', { kind: 'normal', model: 'depth-anything', resolution: 512, background: 0.4 }],
  ])('runs a network on a photograph for %s', async (type, preprocessor) => {
    const depth = testAddOn('preprocessor', 'depth-anything');
    const more = [
      testAddOn('controlnet', `control_v11p_sd15_${type}`, { family: 'sd1' }),
      { ...depth, pack: { ...depth.pack, network: 'depth-anything' } },
      testAddOn('preprocessor', 'pose'),
      testAddOn('finder', 'faces'),
    ];
    const host = createFakeHost({ models, addOns: [...addOns, ...more] });
    const body = { ...request, controlnet_model: `control_v11p_sd15_${type}`, auto_hint: 'yes' };
    expect((await post(createApi(host), 'controlnet', body)).status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([{ preprocessor }]);
  });

  it('shows ControlNets for inpainting the init image without its masked part', async () => {
    const host = createFakeHost({ models, addOns });
    const body = { ...request, controlnet_model: 'inpaint', mask_image: request.init_image };
    expect((await post(createApi(host), 'controlnet', body)).status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([{ preprocessor: { kind: 'inpaint' } }]);
    expect(host.jobs[0]?.controls?.[0]).not.toHaveProperty('image');
  });

  it('reads its own images by their URLs', async () => {
    const host = createFakeHost({ models, addOns });
    const api = createApi(host);
    const { output } = await answerOf(post(api, 'text2img', { ...example, model_id: 'photo' }));
    const [url = ''] = output as string[];
    expect((await post(api, 'controlnet', { ...request, init_image: url })).status).toBe(200);
    const control = host.jobs[1]?.controls?.[0]?.image;
    const file = await (await api.request(url)).arrayBuffer();
    expect(new Uint8Array((await control?.arrayBuffer()) ?? [])).toEqual(new Uint8Array(file));
  });

  it('needs no prompt with guess_mode, which trusts the control image', async () => {
    const host = createFakeHost({ models, addOns });
    const api = createApi(host);
    const refused = await post(api, 'controlnet', { ...request, prompt: '' });
    expect([refused.status, (await answerOf(refused))['message']]).toEqual([400, 'prompt is required']);
    expect((await post(api, 'controlnet', { ...request, prompt: '', guess_mode: 'yes' })).status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([{ balance: 'control' }]);
  });

  it.each([
    [{ init_image: undefined }, 400, 'init_image is required'],
    [{ controlnet_model: undefined }, 400, 'controlnet_model is required'],
    [{ controlnet_type: 'canny,smell' }, 400, 'controlnet_type must be a list of: canny, depth, '],
    [{ init_image: 'no image!' }, 400, "'init_image' is neither a URL nor base64."],
    [{ init_image: 'AAAA' }, 400, "'init_image' is not a PNG, JPEG, WebP or GIF file."],
    [
      { init_image: 'http://localhost/files/2026-01-01/x-0.png' },
      400,
      'Unable to fetch image from provided URL',
    ],
    [{ controlnet_model: 'inpaint', auto_hint: 'yes' }, 400, 'mask_image is required'],
    [{ controlnet_model: 'openpose' }, 404, 'ControlNet not found: openpose'],
    [{ controlnet_model: 'tile' }, 404, 'ControlNet not found: tile'],
    [{ controlnet_model: 'xinsir-tile-sdxl' }, 400, 'The ControlNet xinsir-tile-sdxl is for sdxl models'],
    [
      { controlnet_model: 'depth', auto_hint: 'yes' },
      404,
      'auto_hint for depth needs MiDaS or Depth Anything',
    ],
    [
      { controlnet_model: 'canny', controlnet_type: 'mlsd', auto_hint: 'yes' },
      501,
      'auto_hint for mlsd needs a network that does not run here',
    ],
    [{ control_image: 'AAAA' }, 400, "'control_image' is not a PNG"],
    [{ mask_image: 'AAAA' }, 400, "'mask_image' is not a PNG"],
  ])('refuses %j with %i', async (change, status, message) => {
    const host = createFakeHost({ models, addOns });
    const response = await post(createApi(host), 'controlnet', { ...request, ...change });
    expect([response.status, (await answerOf(response))['message']]).toEqual([
      status,
      expect.stringContaining(message),
    ]);
    expect(host.jobs).toEqual([]);
  });

  it('needs a model whose graphs are written here', async () => {
    const response = await post(createApi(createFakeHost({ addOns })), 'controlnet', {
      ...request,
      model_id: 'emoji-mini',
    });
    expect([response.status, (await answerOf(response))['message']]).toEqual([
      501,
      expect.stringContaining("'controlnet_model' needs a model from .safetensors files"),
    ]);
  });
});
