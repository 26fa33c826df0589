import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { type Json, postForm } from '../../../../support/fooocus.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { visionAddOn } from '../../../../support/vision-add-ons.ts';
import { base64Of, fileOf, imagePng } from './images.ts';

const TEXT = '/v2/generation/text-to-image-with-ip';

const image = imagePng(40, 30);
const cn_img = base64Of(image);

const plus = visionAddOn('ip-adapter', 'ip-adapter-plus_sd15', { patch: 1280 }, 'sd1');
const light = visionAddOn('ip-adapter', 'ip-adapter_sd15_light', { embedding: 1024 }, 'sd1');
const face = visionAddOn('ip-adapter', 'ip-adapter-plus-face_sd15', { patch: 1280 }, 'sd1');
const large = visionAddOn('ip-adapter', 'ip-adapter-plus_sdxl_vit-h', { patch: 1280 }, 'sdxl');
const vitH = visionAddOn('clip-vision', 'vit-h', { embedding: 1024, patch: 1280 });
const vitG = visionAddOn('clip-vision', 'vit-bigg', { embedding: 1280, patch: 1664 });
/** What finds faces comes with the app. */
const faces = testAddOn('finder', 'faces');
const all = [faces, large, vitG, light, face, plus, vitH];

async function ask(body: Json, addOns: readonly AddOnInfo[] = all, path = TEXT) {
  const host = createFakeHost({ models: [OWN_GRAPHS_MODEL], addOns });
  const response = await post(createApi(host), path, { prompt: 'a cat', ...body });
  return { response, job: host.jobs[0] };
}

describe('image prompts', () => {
  it('go through an installed IP-Adapter and its CLIP vision model, by Fooocus’s defaults', async () => {
    const image_prompts = [
      { cn_img },
      { cn_img, cn_type: 'FaceSwap' },
      { cn_img: 'None' },
      { cn_img, cn_type: 'ImagePrompt', cn_stop: 0.7, cn_weight: 1.2 },
    ];
    const { response, job } = await ask({ image_prompts });
    expect(response.status).toBe(200);
    expect(job?.controls).toBeUndefined();
    expect(job?.imagePrompts).toMatchObject([
      { id: 'ip-adapter-plus_sd15', clipVision: 'vit-h', fit: 'stretch', weight: 0.6, start: 0, end: 0.5 },
      { id: 'ip-adapter-plus-face_sd15', clipVision: 'vit-h', fit: 'face', weight: 0.75, end: 0.9 },
      { id: 'ip-adapter-plus_sd15', weight: 1.2, end: 0.7 },
    ]);
    const [first] = job?.imagePrompts ?? [];
    expect(new Uint8Array((await first?.image.arrayBuffer()) ?? [])).toEqual(new Uint8Array(image));
  });

  it('look at a face as it comes where preprocessors are skipped', async () => {
    const { job } = await ask({
      image_prompts: [{ cn_img, cn_type: 'FaceSwap' }],
      advanced_params: { skipping_cn_preprocessor: true },
    });
    expect(job?.imagePrompts).toMatchObject([{ fit: 'stretch' }]);
  });

  it('take any IP-Adapter that is not for faces', async () => {
    const { job } = await ask({ image_prompts: [{ cn_img }] }, [face, light, vitG, vitH]);
    expect(job?.imagePrompts).toMatchObject([{ id: 'ip-adapter_sd15_light', clipVision: 'vit-h' }]);
  });

  it('go beside control images, in a form as well, and with inpainting', async () => {
    const addOns = [...all, testAddOn('controlnet', 'sd15-canny')];
    const host = createFakeHost({ models: [OWN_GRAPHS_MODEL], addOns });
    const response = await postForm(createApi(host), '/v1/generation/image-prompt', {
      cn_img1: fileOf(image),
      cn_stop1: '',
      cn_weight1: '0.5',
      cn_img3: fileOf(image),
      cn_type3: 'PyraCanny',
      outpaint_selections: '',
    });
    expect(response.status).toBe(200);
    expect(host.jobs[0]).toMatchObject({
      imagePrompts: [{ weight: 0.5, end: 0.5 }],
      controls: [{ id: 'sd15-canny' }],
    });
    const { job } = await ask(
      { input_image: cn_img, outpaint_selections: ['Left'], image_prompts: [{ cn_img }] },
      all,
      '/v2/generation/image-prompt',
    );
    expect(job).toMatchObject({ init: { from: 'masked' }, imagePrompts: [{ clipVision: 'vit-h' }] });
  });

  it.each([
    [
      'ImagePrompt',
      [large, face, vitH],
      'Image prompts of type ImagePrompt need an IP-Adapter that fits Photo. Install ip-adapter-plus_sd15 in Models, or another one.',
    ],
    [
      'FaceSwap',
      [plus, vitH],
      'Image prompts of type FaceSwap need an IP-Adapter for faces that fits Photo. Install ip-adapter-plus-face_sd15 in Models, or another one with “face” in its name.',
    ],
    [
      'ImagePrompt',
      [plus, vitG],
      'The IP-Adapter "ip-adapter-plus_sd15" needs CLIP ViT-H/14, which is not installed. Install it in Models.',
    ],
  ] as const)('of type %s say what is missing', async (cn_type, addOns, detail) => {
    const { response, job } = await ask({ image_prompts: [{ cn_img, cn_type }] }, addOns);
    expect(response.status).toBe(404);
    expect(await jsonOf<Json>(response)).toEqual({ detail });
    expect(job).toBeUndefined();
  });

  it('need a checkpoint that there are IP-Adapters for', async () => {
    const host = createFakeHost({ addOns: all });
    const response = await post(createApi(host), TEXT, { image_prompts: [{ cn_img }] });
    expect(response.status).toBe(404);
    expect((await jsonOf<Json>(response))['detail']).toContain('Choose an SDXL or SD 1.5 checkpoint');
  });
});
