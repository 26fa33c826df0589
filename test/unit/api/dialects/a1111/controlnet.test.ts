import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const CANNY = testAddOn('controlnet', 'control_v11p_sd15_canny', { family: 'sd1' });
const DEPTH = testAddOn('controlnet', 'depth', { family: null });
const XL = testAddOn('controlnet', 'xl-canny', { family: 'sdxl' });
const ADD_ONS = [CANNY, DEPTH, XL];

const IMAGE = pngOf(8, 8, (x) => (x < 4 ? [0, 0, 0] : [255, 255, 255]));
const image = await blobToBase64(IMAGE);

interface Answer {
  info: string;
  detail: string;
  errors: string;
}

async function generate(units: readonly unknown[], { model = OWN_GRAPHS_MODEL, more = {} } = {}) {
  const fake = createFakeHost({ models: [model], addOns: ADD_ONS });
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
        preprocessor: { kind: 'canny', low: 100, high: 200 },
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
    const sent = await Promise.all((job?.controls ?? []).map((control) => blobToBase64(control.image)));
    expect(sent).toEqual([image, image]);
    const { extra_generation_params: pairs } = JSON.parse(answer.info) as {
      extra_generation_params: Record<string, string>;
    };
    expect(pairs['ControlNet 0']).toBe(
      'Module: canny, Model: control_v11p_sd15_canny [fedcba98], Weight: 1.0, Resize Mode: Crop and Resize, ' +
        'Threshold A: 100.0, Threshold B: 200.0, Guidance Start: 0.0, Guidance End: 1.0, Pixel Perfect: True, ' +
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
        processor_res: 512,
        hr_option: 'Both',
      },
    ]);
    expect(job?.controls?.[0]?.preprocessor).toEqual({ kind: 'canny', low: 64, high: 200 });
    expect(ignored).toContain('args.0.processor_res');
    expect(ignored).toContain('args.0.hr_option');
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
    [{ image, mask: image, model: 'depth' }, 422, 'mask'],
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
    expect(answer.detail).toContain('finished graphs');
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
    expect(await get('module_list')).toMatchObject({ module_list: ['none', 'canny', 'invert'] });
    expect(await get('settings')).toEqual({
      control_net_unit_count: 3,
      control_net_model_cache_size: 2,
      control_net_max_models_num: 3,
    });
    expect(await get('control_types')).toMatchObject({
      control_types: {
        Canny: {
          module_list: ['none', 'canny'],
          model_list: ['None', 'control_v11p_sd15_canny [fedcba98]', 'xl-canny [fedcba98]'],
          default_option: 'canny',
          default_model: 'control_v11p_sd15_canny [fedcba98]',
        },
      },
    });
  });
});
