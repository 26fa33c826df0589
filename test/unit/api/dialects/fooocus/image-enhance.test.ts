import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import type { DetailStep, Job, PostStep } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { ignoredBy, postForm, type ImageResult, type Json } from '../../../../support/fooocus.ts';
import { post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const PATH = '/v2/generation/image-enhance';
const photo = pngOf(96, 64, (x, y) => [x * 2, y * 3, 90]);
const base64 = toBase64(new Uint8Array(await photo.arrayBuffer()));

function withNetwork(addOn: AddOnInfo, network: string): AddOnInfo {
  return { ...addOn, pack: { ...addOn.pack, network } };
}

/** What comes with the app, and an installed IS-Net. */
const addOns = [
  testAddOn('finder', 'faces'),
  testAddOn('finder', 'person-mask'),
  withNetwork(testAddOn('finder', 'isnet-general-use'), 'isnet'),
];

const face = { enhance_enabled: true, enhance_mask_dino_prompt: 'face' };
const request = {
  prompt: 'a town\nby the sea',
  negative_prompt: 'blurry',
  style_selections: [],
  image_seed: 7,
  enhance_input_image: base64,
  enhance_uov_method: 'Disabled',
};

/** Sends a request. @returns its answer and the jobs that came of it */
async function send(
  body: Json,
  more: readonly AddOnInfo[] = [],
): Promise<{ response: Response; jobs: Job[] }> {
  const fake = createFakeHost({ addOns: [...addOns, ...more] });
  const response = await post(createApi(fake), PATH, { ...request, ...body });
  return { response, jobs: [...fake.jobs, ...fake.upscalings] };
}

/** The only job of a request, which has to succeed. */
async function jobOf(
  body: Json,
  more: readonly AddOnInfo[] = [],
): Promise<Job & { post: readonly PostStep[] }> {
  const { response, jobs } = await send(body, more);
  const [job] = jobs;
  if (!response.ok || !job || !('post' in job)) throw new Error(await response.text());
  return job;
}

const details = (job: { post: readonly PostStep[] }) =>
  job.post.filter((step): step is DetailStep => step.kind === 'detail');

describe('image-enhance', () => {
  it('inpaints with the patch of each enhancement’s engine, where it is installed', async () => {
    const patches = [
      withNetwork(testAddOn('inpaint-patch', 'the-head', { family: 'sdxl' }), 'head'),
      withNetwork(testAddOn('inpaint-patch', 'the-v1', { family: 'sdxl' }), 'v1'),
    ];
    const pack = { ...OWN_GRAPHS_MODEL.pack, family: 'sdxl' as const };
    const fake = createFakeHost({ models: [{ ...OWN_GRAPHS_MODEL, pack }], addOns: [...addOns, ...patches] });
    const enhance_ctrlnets = ['v1', 'v2.6', 'None'].map((engine) => ({
      ...face,
      enhance_inpaint_engine: engine,
    }));
    const response = await post(createApi(fake), PATH, { ...request, enhance_ctrlnets });
    const [job] = fake.upscalings;
    const inits = details(job ?? { post: [] }).map(({ inpaint }) => inpaint.patch);
    expect(inits).toEqual([{ head: 'the-head', weights: 'the-v1' }, undefined, undefined]);
    expect(ignoredBy(response)).toContain('enhance_ctrlnets.1.enhance_inpaint_engine');
    expect(ignoredBy(response)).not.toContain('enhance_ctrlnets.0.enhance_inpaint_engine');
  });

  it('inpaints what is found in the image, with the prompts of the request or its own', async () => {
    const job = await jobOf({
      enhance_ctrlnets: [
        face,
        { ...face, enhance_enabled: false },
        {
          enhance_enabled: true,
          enhance_mask_model: 'u2net_human_seg',
          enhance_prompt: 'a knight',
          enhance_negative_prompt: 'rust',
          enhance_inpaint_strength: 0.5,
          enhance_inpaint_respective_field: 0.3,
          enhance_inpaint_erode_or_dilate: 4,
          enhance_mask_invert: true,
        },
      ],
    });
    expect(job.task).toBe('upscale');
    const [first, second, ...more] = details(job);
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      finder: { kind: 'faces', shape: 'ellipse', threshold: 0.3 },
      regions: { merge: 'merge', grow: 0 },
      prompts: [{ prompt: ['a town', 'by the sea'], negativePrompt: ['blurry'] }],
      inpaint: { rules: 'fooocus', fill: 'fill', area: { field: 0.618 }, overlay: true },
      pass: { model: 'emoji-mini', steps: 30, strength: 1 },
    });
    expect(second).toMatchObject({
      finder: { kind: 'person', shape: 'outline' },
      regions: { merge: 'invert', grow: 9 },
      prompts: [{ prompt: ['a knight'], negativePrompt: ['rust'] }],
      inpaint: { fill: 'original', area: { field: 0.3 } },
      pass: { strength: 0.5 },
    });
  });

  it('answers like other generations, with the seed', async () => {
    const { response } = await send({ enhance_ctrlnets: [face], require_base64: true });
    const results = (await response.json()) as ImageResult[];
    expect(results).toEqual([
      {
        base64: expect.stringContaining('data:image/png;base64,') as string,
        url: expect.stringContaining('-0.png') as string,
        seed: '7',
        finish_reason: 'SUCCESS',
      },
    ]);
  });

  it('says the type of its job', async () => {
    const { response } = await send({ enhance_ctrlnets: [face], async_process: true });
    expect(await response.json()).toMatchObject({ job_type: 'Image Enhancement' });
  });

  it('varies the image first, and inpaints the variation', async () => {
    const job = await jobOf({ enhance_uov_method: 'Vary (Subtle)', enhance_ctrlnets: [face] });
    expect(job).toMatchObject({
      task: 'generate',
      images: [{ prompt: ['a town', 'by the sea'], seed: 7n }],
      init: { from: 'image', rules: 'fooocus' },
      passes: [{ strength: 0.5 }],
    });
    expect(job.post.map(({ kind }) => kind)).toEqual(['detail']);
    expect(details(job)[0]?.pass).toMatchObject({ size: { width: 1024, height: 1024 }, strength: 1 });
  });

  it('varies it last, with the last prompts where it is told so', async () => {
    const body = {
      enhance_uov_method: 'Vary (Strong)',
      enhance_uov_processing_order: 'After Last Enhancement',
      enhance_ctrlnets: [{ ...face, enhance_prompt: 'a smile' }],
    };
    const job = await jobOf(body);
    expect(job.task).toBe('upscale');
    const [, last] = details(job);
    expect(last).toMatchObject({
      finder: { kind: 'everything' },
      prompts: [{ prompt: ['a town', 'by the sea'] }],
      inpaint: { area: 'whole', overlay: false },
      pass: { strength: 0.85 },
    });
    const before = await jobOf({ ...body, enhance_uov_processing_order: 'Before First Enhancement' });
    expect(before.task === 'generate' && before.passes[0].size).toEqual(last?.pass.size);
    const other = await jobOf({ ...body, enhance_uov_prompt_type: 'Last Filled Enhancement Prompts' });
    expect(details(other)[1]?.prompts).toEqual([{ prompt: ['a smile'], negativePrompt: ['blurry'] }]);
  });

  it('upscales without diffusion, before or after', async () => {
    const fast = { enhance_uov_method: 'Upscale (Fast 2x)', enhance_ctrlnets: [face] };
    const kindsOf = ({ post: steps }: { post: readonly PostStep[] }) => steps.map(({ kind }) => kind);
    expect(kindsOf(await jobOf(fast))).toEqual(['upscale', 'detail']);
    const after = { enhance_uov_processing_order: 'After Last Enhancement' };
    expect(kindsOf(await jobOf({ ...fast, ...after }))).toEqual(['detail', 'upscale']);
  });

  it('finds by an installed network', async () => {
    const own = { enhance_enabled: true, enhance_mask_model: 'isnet-general-use' };
    const [step] = details(await jobOf({ enhance_ctrlnets: [own] }));
    expect(step?.finder).toEqual({ kind: 'salient', model: 'isnet-general-use' });
  });

  it('finds what words name by an installed network, in rectangles that grow before they are outlined', async () => {
    const detector = withNetwork(testAddOn('finder', 'dino'), 'grounding-dino');
    const segmenter = withNetwork(testAddOn('finder', 'slimsam'), 'sam');
    const own = { ...face, enhance_mask_dino_prompt: 'red hat', enhance_mask_box_threshold: 0.4 };
    const body = {
      enhance_ctrlnets: [{ ...own, enhance_inpaint_erode_or_dilate: 2, enhance_mask_sam_max_detections: 1 }],
      advanced_params: { dino_erode_or_dilate: 8 },
    };
    const [step] = details(await jobOf(body, [detector, segmenter]));
    expect(step).toMatchObject({
      finder: {
        kind: 'text',
        model: 'dino',
        segmenter: 'slimsam',
        text: 'red hat',
        threshold: 0.4,
        grow: 8,
        max: 1,
      },
      regions: { grow: 5 },
    });
  });

  it('takes a form with numbered fields', async () => {
    const fake = createFakeHost({ addOns });
    const response = await postForm(createApi(fake), '/v1/generation/image-enhance', {
      prompt: 'a town',
      style_selections: '',
      image_seed: '7',
      enhance_input_image: photo,
      enhance_uov_method: 'Disabled',
      enhance_enabled_1: 'false',
      enhance_enabled_3: 'true',
      enhance_mask_dino_prompt_3: 'face',
      enhance_inpaint_strength_3: '0.4',
    });
    expect(response.status).toBe(200);
    const [job] = fake.upscalings;
    expect(job && details(job)).toEqual([
      expect.objectContaining({
        finder: expect.objectContaining({ kind: 'faces' }) as object,
        pass: expect.objectContaining({ strength: 0.4 }) as object,
      }),
    ]);
  });

  it('names what has no effect', async () => {
    const { response } = await send({
      enhance_ctrlnets: [{ ...face, enhance_mask_sam_model: 'vit_h', enhance_mask_text_threshold: 0.5 }],
      save_final_enhanced_image_only: false,
    });
    expect(ignoredBy(response)).toEqual(
      expect.arrayContaining([
        'enhance_ctrlnets.0.enhance_mask_sam_model',
        'enhance_ctrlnets.0.enhance_mask_text_threshold',
        'save_final_enhanced_image_only',
      ]),
    );
  });

  it.each([
    [{ enhance_ctrlnets: [] }, 422, 'There is nothing to do'],
    [{ enhance_ctrlnets: [{ ...face, enhance_mask_dino_prompt: 'shoes' }] }, 404, '“shoes”'],
    [{ enhance_ctrlnets: [{ enhance_enabled: true, enhance_mask_model: 'u2net' }] }, 404, "'u2net'"],
    [{ enhance_input_image: '', enhance_ctrlnets: [face] }, 422, 'There is no image'],
    [{}, 422, 'enhance_ctrlnets'],
  ])('refuses %j', async (body, status, reason) => {
    const { response } = await send(body);
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(reason)]);
  });
});
