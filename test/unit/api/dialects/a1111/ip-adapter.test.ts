import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';
import { visionAddOn } from '../../../../support/vision-add-ons.ts';

const ADD_ONS = [
  testAddOn('controlnet', 'depth'),
  visionAddOn('ip-adapter', 'ip-adapter_sd15', { embedding: 1024 }, 'sd1'),
  visionAddOn('ip-adapter', 'ip-adapter_sd15_vit-G', { embedding: 1280 }, 'sd1'),
  visionAddOn('ip-adapter', 'ip-adapter_sdxl', { embedding: 1280 }, 'sdxl'),
  visionAddOn('clip-vision', 'vit-h', { embedding: 1024, patch: 1280 }),
];

const image = await blobToBase64(pngOf(8, 8, () => [200, 10, 10]));

interface Answer {
  info: string;
  detail: string;
  errors: string;
}

async function generate(
  units: readonly unknown[],
  {
    path = 'txt2img',
    model = OWN_GRAPHS_MODEL,
    more = {},
  }: { path?: string; model?: typeof OWN_GRAPHS_MODEL; more?: object } = {},
) {
  const fake = createFakeHost({ models: [model], addOns: ADD_ONS });
  const body = {
    prompt: 'a house',
    width: 64,
    height: 64,
    steps: 2,
    ...more,
    alwayson_scripts: { controlnet: { args: units } },
  };
  const response = await post(createApi(fake), `/sdapi/v1/${path}`, body);
  return { status: response.status, answer: await jsonOf<Answer>(response), job: fake.jobs[0] };
}

const unit = { image, module: 'ip-adapter-auto', model: 'ip-adapter_sd15' };

describe('ControlNet units with an IP-Adapter', () => {
  it('become image prompts of the job, and pairs of the infotext', async () => {
    const { status, job, answer } = await generate([
      { image, module: 'none', model: 'depth' },
      { ...unit, weight: 0.7, guidance_start: 0.1, guidance_end: 0.8 },
      { ...unit, module: 'ip-adapter_clip_h' },
      { ...unit, module: 'ip-adapter_clip_sd15' },
    ]);
    expect(status).toBe(200);
    expect(job?.controls).toMatchObject([{ id: 'depth' }]);
    const usual = { id: 'ip-adapter_sd15', clipVision: 'vit-h', fit: 'crop', weight: 1, start: 0, end: 1 };
    expect(job?.imagePrompts).toMatchObject([{ ...usual, weight: 0.7, start: 0.1, end: 0.8 }, usual, usual]);
    expect(await blobToBase64(job?.imagePrompts?.[0]?.image ?? new Blob())).toBe(image);
    const { extra_generation_params: pairs } = JSON.parse(answer.info) as {
      extra_generation_params: Record<string, string>;
    };
    expect(pairs['ControlNet 1']).toContain(
      'Module: ip-adapter-auto, Model: ip-adapter_sd15 [fedcba98], Weight: 0.7',
    );
  });

  it('are limited to a region, and weighed by block', async () => {
    const weights = Array.from({ length: 16 }, (_, block) => block / 8);
    const { status, job } = await generate([
      { ...unit, effective_region_mask: image, advanced_weighting: weights },
    ]);
    expect(status).toBe(200);
    expect(job?.imagePrompts).toMatchObject([{ layerWeights: weights }]);
    expect(await blobToBase64(job?.imagePrompts?.[0]?.region ?? new Blob())).toBe(image);
  });

  it('show the init image where they have none', async () => {
    const without = Object.fromEntries(Object.entries(unit).filter(([name]) => name !== 'image'));
    const { status, job } = await generate([without], { path: 'img2img', more: { init_images: [image] } });
    expect(status).toBe(200);
    expect(await blobToBase64(job?.imagePrompts?.[0]?.image ?? new Blob())).toBe(image);
  });

  it.each([
    [{ ...unit, model: 'ip-adapter_sd15_vit-G' }, 404, 'needs CLIP ViT-bigG/14, which is not installed'],
    [{ ...unit, module: 'ip-adapter_clip_sdxl' }, 422, 'which needs CLIP ViT-H/14'],
    [{ ...unit, module: 'canny' }, 422, "module 'canny' makes nothing for the IP-Adapter"],
    [{ ...unit, model: 'depth' }, 422, "needs an IP-Adapter, and model 'depth' is a ControlNet"],
    [{ ...unit, model: 'nothing' }, 422, 'model(nothing) not found in supported models.'],
    [{ ...unit, module: 'ip-adapter_face_id' }, 422, 'needs a network that recognises faces'],
    [{ module: unit.module, model: unit.model }, 500, 'no input image'],
    [{ ...unit, image: '!' }, 500, 'Invalid encoded image'],
    [{ ...unit, effective_region_mask: '!' }, 500, 'Invalid encoded image'],
    [{ ...unit, advanced_weighting: [1, 0.5] }, 500, 'must have 16 numbers'],
    [{ ...unit, ipadapter_input: ['gAIu'] }, 422, 'ipadapter_input'],
    [{ ...unit, model: 'ip-adapter_sdxl' }, 404, 'needs CLIP ViT-bigG/14'],
  ])('%j is refused with %i', async (sent, status, words) => {
    const { status: own, answer, job } = await generate([sent]);
    expect(answer.detail + answer.errors).toContain(words);
    expect(own).toBe(status);
    expect(job).toBeUndefined();
  });

  it('are refused for models of finished graphs and of other families', async () => {
    const finished = await generate([unit], { model: TEST_MODEL });
    expect(finished.status).toBe(422);
    expect(finished.answer.detail).toContain('exported ONNX graphs');
    const sdxl = { ...OWN_GRAPHS_MODEL, pack: { ...OWN_GRAPHS_MODEL.pack, family: 'sdxl' as const } };
    const other = await generate([unit], { model: sdxl });
    expect(other.status).toBe(500);
    expect(other.answer.errors + other.answer.detail).toContain('not compatible');
  });

  it('are listed with the ControlNets, under a type of their own', async () => {
    const api = createApi(createFakeHost({ models: [OWN_GRAPHS_MODEL], addOns: ADD_ONS }));
    const get = (path: string) => jsonOf<Record<string, unknown>>(api.request(`/controlnet/${path}`));
    expect(await get('model_list')).toMatchObject({
      model_list: expect.arrayContaining(['depth [fedcba98]', 'ip-adapter_sd15 [fedcba98]']) as string[],
    });
    expect(await get('control_types')).toMatchObject({
      control_types: {
        'IP-Adapter': {
          module_list: [
            'none',
            'ip-adapter-auto',
            'ip-adapter_clip_h',
            'ip-adapter_clip_sdxl_plus_vith',
            'ip-adapter_clip_g',
          ],
          default_option: 'ip-adapter-auto',
          default_model: 'ip-adapter_sd15 [fedcba98]',
        },
      },
    });
  });
});
