import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { pixelsOf } from '../../../../support/a1111.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const CANNY = testAddOn('controlnet', 'control_v11p_sd15_canny', { family: 'sd1' });
const DEPTH = testAddOn('controlnet', 'depth', { family: null });
const XL = testAddOn('controlnet', 'xl-canny', { family: 'sdxl' });
const ADD_ONS = [CANNY, DEPTH, XL];

const IMAGE = pngOf(8, 8, (x) => (x < 4 ? [0, 0, 0] : [255, 255, 255]));
const image = await blobToBase64(IMAGE);
const small = await blobToBase64(pngOf(4, 2, () => [0, 0, 0]));

interface Answer {
  info: string;
  detail: string;
  errors: string;
}

async function generate(
  units: readonly unknown[],
  { model = OWN_GRAPHS_MODEL, more = {}, addOns = ADD_ONS } = {},
) {
  const fake = createFakeHost({ models: [model], addOns });
  const body = {
    prompt: 'a house',
    width: 64,
    height: 64,
    steps: 2,
    ...more,
    alwayson_scripts: { ControlNet: { args: units } },
  };
  const response = await post(createApi(fake), '/sdapi/v1/txt2img', body);
  return {
    status: response.status,
    ignored: response.headers.get('X-Ignored-Parameters'),
    answer: await jsonOf<Answer>(response),
    job: fake.jobs[0],
    pass: fake.jobs[0]?.passes[0],
  };
}

describe('units of the ControlNet extension', () => {
  it('become the controls of the job, and pairs of the infotext', async () => {
    const { status, job, answer, ignored } = await generate([
      {
        image: `data:image/png;base64,${image}`,
        model: 'control_v11p_sd15_canny [fedcba98]',
        module: 'canny',
      },
      { enabled: false, model: 'nothing' },
      {
        input_image: image,
        model: 'depth',
        weight: 0.5,
        guidance_start: 0.1,
        guidance_end: 0.8,
        resize_mode: 2,
        control_mode: 'My prompt is more important',
      },
    ]);
    expect(status).toBe(200);
    expect(ignored).toBeNull();
    expect(job?.controls).toMatchObject([
      {
        id: 'control_v11p_sd15_canny',
        fit: 'cover',
        preprocessor: { kind: 'module', name: 'canny', resolution: 512, thresholdA: 100, thresholdB: 200 },
        strength: 1,
        start: 0,
        end: 1,
        balance: 'even',
      },
      {
        id: 'depth',
        fit: 'contain',
        preprocessor: { kind: 'none' },
        strength: 0.5,
        start: 0.1,
        end: 0.8,
        balance: 'prompt',
      },
    ]);
    const sent = await Promise.all(
      (job?.controls ?? []).map((control) => blobToBase64(control.image ?? new Blob())),
    );
    expect(sent).toEqual([image, image]);
    const { extra_generation_params: pairs } = JSON.parse(answer.info) as {
      extra_generation_params: Record<string, string>;
    };
    expect(pairs['ControlNet 0']).toBe(
      'Module: canny, Model: control_v11p_sd15_canny [fedcba98], Weight: 1.0, Resize Mode: Crop and Resize, ' +
        'Processor Res: 512, Threshold A: 100.0, Threshold B: 200.0, Guidance Start: 0.0, Guidance End: 1.0, ' +
        'Pixel Perfect: False, ' +
        'Control Mode: Balanced',
    );
    expect(pairs['ControlNet 1']).toContain('Module: none, Model: depth');
  });

  it('tell thresholds and what has no effect', async () => {
    const { job, ignored } = await generate([
      {
        image,
        model: 'depth',
        module: 'canny',
        threshold_a: 64,
        threshold_b: 300,
        processor_res: 256,
        hr_option: 'Low res only',
      },
      { image, model: 'depth', module: 'invert (from white bg & black line)', hr_option: 'Both' },
    ]);
    expect(job?.controls?.map(({ preprocessor }) => preprocessor)).toMatchObject([
      { kind: 'module', name: 'canny', resolution: 256, thresholdA: 64, thresholdB: 200 },
      { kind: 'module', name: 'invert' },
    ]);
    expect(ignored).toBe('alwayson_scripts.controlnet.args.0.hr_option');
  });

  it('are limited to a region, to layers, and to a pass of hires fix', async () => {
    const unit = {
      image,
      model: 'depth',
      effective_region_mask: image,
      advanced_weighting: [1, 0.5],
      hr_option: 'High res only',
    };
    const { job, ignored } = await generate([unit], { more: { enable_hr: true } });
    expect(ignored).toBeNull();
    expect(job?.controls).toMatchObject([{ layerWeights: [1, 0.5], passes: 'later' }]);
    expect(await blobToBase64(job?.controls?.[0]?.region ?? new Blob())).toBe(image);
  });

  it('inpaint an image of their own, whose mask is no scribble', async () => {
    const masked = { image: { image, mask: image }, model: 'depth' };
    const { job } = await generate([
      { ...masked, module: 'inpaint_only' },
      { ...masked, module: 'inpaint' },
    ]);
    expect(job?.controls?.map(({ preprocessor }) => preprocessor)).toEqual([
      { kind: 'inpaint', restores: true },
      { kind: 'inpaint' },
    ]);
    expect(job?.controls?.every(({ image, mask }) => image && mask)).toBe(true);
  });

  it('see the pixels that are generated where they are to be perfect', async () => {
    const wide = await blobToBase64(pngOf(32, 16, () => [0, 0, 0]));
    const unit = { image: wide, model: 'depth', module: 'threshold', pixel_perfect: true };
    const { job } = await generate([unit, { ...unit, resize_mode: 'Resize and Fill' }], {
      more: { width: 96, height: 64 },
    });
    expect(job?.controls?.map(({ preprocessor }) => preprocessor)).toMatchObject([
      { resolution: 64, thresholdA: 127 },
      { resolution: 48 },
    ]);
  });

  it('take what is scribbled on a mask for the image', async () => {
    const scribble = await blobToBase64(pngOf(8, 8, (x, y) => (x === y ? [255, 255, 255] : [0, 0, 0])));
    const blank = await blobToBase64(pngOf(8, 8, () => [0, 0, 0]));
    const model = 'depth';
    const { job } = await generate([
      { image, mask: scribble, model },
      { image: { image, mask: scribble }, model },
      { image: [image, scribble], model },
      { image, mask_image: blank, model },
    ]);
    const seen = await Promise.all(
      (job?.controls ?? []).map((control) => blobToBase64(control.image ?? new Blob())),
    );
    expect(seen).toEqual([scribble, scribble, scribble, image]);
  });

  const refusals: readonly (readonly [unit: object, status: number, words: string])[] = [
    [{ image }, 500, 'You have not selected any ControlNet Model.'],
    [{ image, model: 'unheard of' }, 422, 'model(unheard of) not found in supported models.'],
    [{ model: 'depth' }, 500, 'no input image'],
    [{ image: '!', model: 'depth' }, 500, 'Invalid encoded image'],
    [{ image, model: 'depth', module: 'openpose_full' }, 422, 'openpose_full'],
    [{ image, model: 'depth', weight: 3 }, 422, 'weight'],
    [{ image, model: 'depth', guidance_start: 0.8, guidance_end: 0.2 }, 500, 'guidance_start'],
    [{ image, model: 'depth', control_mode: 'Somehow' }, 422, 'control_mode'],
    [
      { image, mask: small, model: 'depth' },
      500,
      'image shape ((8, 8)) not aligned with mask shape ((2, 4))',
    ],
    [{ image, model: 'depth', effective_region_mask: '!' }, 500, 'Invalid encoded image'],
    [{ image, model: 'depth', effective_region_mask: 5 }, 500, 'Invalid encoded image'],
    [{ image, model: 'depth', advanced_weighting: 'all' }, 422, 'advanced_weighting'],
    [{ image, model: 'depth', hr_option: 'Middle' }, 422, 'hr_option'],
    [{ image, mask: small, model: 'depth', module: 'inpaint_only' }, 500, 'not aligned with mask shape'],
    [{ image, model: 'depth', ipadapter_input: ['gAIu'] }, 422, 'ipadapter_input'],
    [{ image, model: 'xl-canny' }, 500, 'not compatible'],
  ];
  it.each(refusals)('%j is refused with %i', async (unit, status, words) => {
    const { status: own, answer, job } = await generate([unit]);
    expect(own).toBe(status);
    expect(answer.detail + answer.errors).toContain(words);
    expect(job).toBeUndefined();
  });

  it('are refused for models of finished graphs', async () => {
    const { status, answer } = await generate([{ image, model: 'depth' }], { model: TEST_MODEL });
    expect(status).toBe(422);
    expect(answer.detail).toContain('exported ONNX graphs');
  });
});

describe('how networks are written', () => {
  it('follows tiling and token merging', async () => {
    const { pass, answer } = await generate([], {
      more: { tiling: true, override_settings: { token_merging_ratio: 0.9 } },
    });
    expect(pass?.graph).toEqual({ tiling: true, tokenMerging: 0.75 });
    const info = JSON.parse(answer.info) as { extra_generation_params: Record<string, string> };
    expect(info.extra_generation_params['Token merging ratio']).toBe('0.75');
    const stock = await generate([], { more: { override_settings: { tiling: true } } });
    expect(stock.pass?.graph).toEqual({ tiling: true });
    const off = await generate([], { more: { tiling: false, override_settings: { tiling: true } } });
    expect(off.pass?.graph).toBeUndefined();
  });
});

describe('routes of the extension', () => {
  const api = createApi(createFakeHost({ models: [OWN_GRAPHS_MODEL], addOns: ADD_ONS }));
  const get = (path: string) => jsonOf<Record<string, unknown>>(api.request(`/controlnet/${path}`));

  it('list what is installed', async () => {
    expect(await get('version')).toEqual({ version: 3 });
    expect(await get('model_list?update=true')).toEqual({
      model_list: ['control_v11p_sd15_canny [fedcba98]', 'depth [fedcba98]', 'xl-canny [fedcba98]'],
    });
    expect(await get('module_list')).toMatchObject({
      module_list: [
        'none',
        'ip-adapter-auto',
        'tile_resample',
        'recolor_luminance',
        'lineart_standard',
        'ip-adapter_clip_sd15',
        'inpaint_only',
        'canny',
        'invert',
        'threshold',
        'color',
        'scribble_xdog',
        'recolor_intensity',
        'openpose',
        'ip-adapter_clip_sdxl_plus_vith',
        'ip-adapter_clip_sdxl',
        'inpaint',
        'blur_gaussian',
      ],
      module_detail: {
        canny: {
          model_free: false,
          sliders: [
            { name: 'Resolution', value: 512, min: 64, max: 2048, step: 8 },
            { name: 'Low Threshold', value: 100, min: 1, max: 255, step: 1 },
            { name: 'High Threshold', value: 200, min: 1, max: 255, step: 1 },
          ],
        },
        invert: { sliders: [] },
      },
    });
    const { module_detail: details, module_list: labels } = await get('module_list?alias_names=true');
    expect(labels).toContain('t2ia_color_grid');
    expect(Object.keys(details as object)).toEqual(labels);
    expect(await get('settings')).toEqual({
      control_net_unit_count: 3,
      control_net_model_cache_size: 2,
      control_net_max_models_num: 3,
    });
    expect(await get('control_types')).toMatchObject({
      control_types: {
        Canny: {
          module_list: ['none', 'canny', 'invert (from white bg & black line)'],
          model_list: ['None', 'control_v11p_sd15_canny [fedcba98]', 'xl-canny [fedcba98]'],
          default_option: 'canny',
          default_model: 'control_v11p_sd15_canny [fedcba98]',
        },
      },
    });
  });
});

describe('preprocessors that run a network', () => {
  const addOns = [
    ...ADD_ONS,
    withNetwork('midas'),
    withNetwork('depth-anything'),
    testAddOn('preprocessor', 'pose'),
    testAddOn('finder', 'faces'),
  ];

  it('are listed as far as their networks are installed', async () => {
    const api = createApi(createFakeHost({ addOns }));
    const { module_list: all } = await jsonOf<{ module_list: string[] }>(
      api.request('/controlnet/module_list?alias_names=true'),
    );
    expect(all).toEqual(
      expect.arrayContaining(['depth_midas', 'normal_midas', 'depth_anything', 'depth_anything_v2']),
    );
    expect(all.indexOf('inpaint_only')).toBeLessThan(all.indexOf('depth_midas'));
    const { control_types: types } = await jsonOf<{ control_types: Record<string, unknown> }>(
      api.request('/controlnet/control_types'),
    );
    expect(types['Depth']).toMatchObject({
      module_list: ['none', 'depth_midas', 'depth_anything_v2', 'depth_anything'],
      default_option: 'depth_midas',
    });
    expect(types['OpenPose']).toMatchObject({ module_list: ['none', 'openpose'] });
  });

  it.each([
    ['openpose', { kind: 'openpose', resolution: 512 }],
    ['depth', { kind: 'depth', model: 'midas', resolution: 512 }],
    ['depth_anything_v2', { kind: 'depth', model: 'depth-anything', resolution: 512 }],
    ['normal_midas', { kind: 'normal', model: 'midas', resolution: 512, background: 0.4 }],
  ])('become part of the job: %s', async (module, preprocessor) => {
    const { job } = await generate([{ image, model: 'depth', module }], { addOns });
    expect(job?.controls?.[0]?.preprocessor).toEqual(preprocessor);
  });

  it('say what has to be installed', async () => {
    const { answer, status } = await generate([{ image, model: 'depth', module: 'depth_midas' }]);
    expect(status).toBe(404);
    expect(JSON.stringify(answer)).toContain("'depth_midas' needs MiDaS as ONNX");
  });
});

function withNetwork(network: string) {
  const addOn = testAddOn('preprocessor', network);
  return { ...addOn, pack: { ...addOn.pack, network } };
}

describe('POST /controlnet/detect', () => {
  const api = createApi(createFakeHost());
  const detect = (body: object) => post(api, '/controlnet/detect', body);

  it('answers with what a preprocessor makes of each image', async () => {
    const grey = await blobToBase64(pngOf(8, 8, (x) => (x < 4 ? [10, 10, 10] : [200, 200, 200])));
    const answer = await jsonOf<{ info: string; images: string[] }>(
      detect({
        controlnet_module: 'threshold',
        controlnet_input_images: [grey, `data:image/png;base64,${grey}`],
        controlnet_processor_res: 64,
        controlnet_threshold_a: 100,
      }),
    );
    expect(answer.info).toBe('Success');
    expect(answer.images).toHaveLength(2);
    const { width, height, data } = pixelsOf(answer.images[0]);
    expect([width, height]).toEqual([64, 64]);
    expect([data[0], data.at(-1)]).toEqual([0, 255]);
  });

  it('leaves the image as it is without one', async () => {
    const { images } = await jsonOf<{ images: string[] }>(detect({ controlnet_input_images: [image] }));
    expect([...pixelsOf(images[0]).data.slice(9, 15)]).toEqual([0, 0, 0, 255, 255, 255]);
  });

  it.each([
    [{ controlnet_module: 'openpose_full', controlnet_input_images: [image] }, 422, 'openpose_full'],
    [{ controlnet_module: 'ip-adapter-auto', controlnet_input_images: [image] }, 422, 'not supported'],
    [{ controlnet_module: 'canny' }, 422, 'No image selected'],
    [{ controlnet_module: 'inpaint_only', controlnet_input_images: [image] }, 422, 'Module not supported'],
    [{ controlnet_module: 'canny', controlnet_input_images: ['?'] }, 500, 'Invalid encoded image'],
    [{ controlnet_module: 'canny', controlnet_input_images: ['AAAA'] }, 500, 'Invalid encoded image'],
  ])('%j is refused with %i', async (body, status, words) => {
    const response = await detect(body);
    expect(response.status).toBe(status);
    expect((await jsonOf<Answer>(response)).detail).toContain(words);
  });
});
