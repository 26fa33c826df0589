import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { DetailStep } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { img2img, SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const FINDERS = [testAddOn('finder', 'faces'), testAddOn('finder', 'person-mask')];
const OTHER = { ...OWN_GRAPHS_MODEL, pack: { ...OWN_GRAPHS_MODEL.pack, id: 'detail' }, selected: false };
const OPTIONS = {
  models: [OWN_GRAPHS_MODEL, OTHER],
  addOns: [
    ...FINDERS,
    testAddOn('vae', 'soft'),
    testAddOn('controlnet', 'canny-sd15', { family: 'sd1' }),
    testAddOn('face-restorer', 'codeformer'),
  ],
};
const FACES = { ad_model: 'face_yolov8n.pt' };

const image = await blobToBase64(pngOf(16, 16, () => [255, 0, 0]));
const mask = await blobToBase64(pngOf(16, 16, (x) => (x < 8 ? [255, 255, 255] : [0, 0, 0])));

const script = (...args: unknown[]) => ({ alwayson_scripts: { ADetailer: { args } } });

async function detail(unit: object, body: object = {}, more: readonly AddOnInfo[] = []) {
  const options = { ...OPTIONS, addOns: [...OPTIONS.addOns, ...more] };
  const run = await txt2img({ ...SMALL, ...body, ...script(true, false, unit) }, options);
  const step = run.job?.post.find((each): each is DetailStep => each.kind === 'detail');
  return { ...run, step };
}

describe('ADetailer', () => {
  it('inpaints each face as img2img would, by the defaults of the extension', async () => {
    const { step, job, pass, ignored, info } = await detail(FACES, { cfg_scale: 5 });
    expect(step).toEqual({
      kind: 'detail',
      finder: { kind: 'faces' },
      regions: {
        minScore: 0.3,
        minShare: 0,
        maxShare: 1,
        offset: { x: 0, y: 0 },
        grow: 4,
        merge: 'none',
      },
      inpaint: {
        rules: 'a1111',
        fit: 'stretch',
        fill: 'original',
        blur: { x: 4, y: 4 },
        round: true,
        area: { padding: 32 },
        overlay: true,
      },
      pass: { ...pass, strength: 0.4, guidanceScale: 5 },
      noise: job?.noise,
      promptOptions: job?.promptOptions,
      seedStep: 1,
      infotext: [],
    });
    expect(ignored).toEqual([]);
    expect(info.extra_generation_params).toEqual({
      'ADetailer model': 'face_yolov8n.pt',
      'ADetailer confidence': '0.3',
      'ADetailer dilate erode': '4',
      'ADetailer mask blur': '4',
      'ADetailer denoising strength': '0.4',
      'ADetailer inpaint only masked': 'True',
      'ADetailer inpaint padding': '32',
      'ADetailer version': '25.3.0',
    });
  });

  it('honours what a unit changes', async () => {
    const { step, info } = await detail({
      ad_model: 'person_yolov8n-seg.pt',
      ad_confidence: 0.7,
      ad_mask_k: 2,
      ad_mask_filter_method: 'Confidence',
      ad_mask_min_ratio: 0.01,
      ad_mask_max_ratio: 0.5,
      ad_dilate_erode: -3,
      ad_x_offset: 5,
      ad_y_offset: -6,
      ad_mask_merge_invert: 'Merge and Invert',
      ad_mask_blur: 8,
      ad_denoising_strength: 0.6,
      ad_inpaint_only_masked: false,
      ad_use_inpaint_width_height: true,
      ad_inpaint_width: 770,
      ad_inpaint_height: 512,
      ad_use_steps: true,
      ad_steps: 9,
      ad_use_cfg_scale: true,
      ad_cfg_scale: 3,
      ad_use_checkpoint: true,
      ad_checkpoint: 'detail',
      ad_use_vae: true,
      ad_vae: 'soft',
      ad_use_sampler: true,
      ad_sampler: 'DPM++ 2M Karras',
      ad_use_noise_multiplier: true,
      ad_noise_multiplier: 1.1,
      ad_use_clip_skip: true,
      ad_clip_skip: 2,
    });
    expect(step).toMatchObject({
      finder: { kind: 'person' },
      regions: {
        minScore: 0.7,
        minShare: 0.01,
        maxShare: 0.5,
        most: { count: 2, by: 'score' },
        offset: { x: 5, y: -6 },
        grow: -3,
        merge: 'invert',
      },
      inpaint: { blur: { x: 8, y: 8 }, area: 'whole' },
      pass: {
        model: 'detail',
        vae: 'soft',
        size: { width: 768, height: 512 },
        steps: 9,
        strength: 0.6,
        guidanceScale: 3,
        sampler: { sampler: 'dpmpp_2m', schedule: 'karras' },
      },
      noise: { initialMultiplier: 1.1 },
      promptOptions: { clipSkip: 2 },
    });
    expect(info.extra_generation_params).toMatchObject({
      'ADetailer method to decide top k masks': 'Confidence',
      'ADetailer mask only top k': '2',
      'ADetailer x offset': '5',
      'ADetailer mask merge invert': 'Merge and Invert',
      'ADetailer inpaint only masked': 'False',
      'ADetailer inpaint width': '770',
      'ADetailer use separate steps': 'True',
      'ADetailer steps': '9',
      'ADetailer CFG scale': '3.0',
      'ADetailer checkpoint': 'detail',
      'ADetailer VAE': 'soft',
      'ADetailer sampler': 'DPM++ 2M Karras',
      'ADetailer noise multiplier': '1.1',
      'ADetailer CLIP skip': '2',
    });
    expect(info.extra_generation_params).not.toHaveProperty('ADetailer inpaint padding');
    expect(info.extra_generation_params).not.toHaveProperty('ADetailer scheduler');
  });

  it('has prompts for each region', async () => {
    const { step } = await detail({
      ...FACES,
      ad_prompt: 'a smile, [PROMPT] [SEP] [SKIP] [SEP] # a note',
      ad_negative_prompt: 'teeth',
    });
    expect(step?.prompts).toEqual([
      { prompt: ['a smile, [PROMPT]'], negativePrompt: ['teeth'] },
      'skip',
      { prompt: ['\n'], negativePrompt: ['teeth'] },
    ]);
    expect((await detail(FACES)).step).not.toHaveProperty('prompts');
  });

  it('steers a region by a ControlNet, which is shown the region', async () => {
    const { step, ignored } = await detail({
      ...FACES,
      ad_controlnet_model: 'canny-sd15',
      ad_controlnet_module: 'canny',
      ad_controlnet_weight: 0.5,
    });
    expect(step?.controls).toMatchObject([
      { id: 'canny-sd15', strength: 0.5, preprocessor: { kind: 'module', name: 'canny' } },
    ]);
    expect(step?.controls?.[0]).not.toHaveProperty('image');
    expect(ignored).toEqual([]);
  });

  it('runs several units one after the other, and restores faces after one that asks for it', async () => {
    const { job, info } = await txt2img(
      { ...SMALL, ...script({ ...FACES, ad_restore_face: true }, { ad_model: 'mediapipe_face_mesh' }) },
      OPTIONS,
    );
    expect(job?.post).toMatchObject([
      { kind: 'detail', finder: { kind: 'faces' } },
      { kind: 'restore-faces', restorer: 'codeformer' },
      { kind: 'detail', finder: { kind: 'faces', shape: 'ellipse' } },
    ]);
    expect(info.extra_generation_params).toMatchObject({
      'ADetailer restore face': 'True',
      'ADetailer model 2nd': 'mediapipe_face_mesh',
    });
  });

  it.each([
    ['a script that is switched off', [false, false, FACES]],
    ['a unit without a model', [true, false, { ad_prompt: 'a smile' }]],
    ['a unit that is switched off', [{ ...FACES, ad_tab_enable: false }]],
    ['no units', []],
  ])('does nothing for %s', async (_, args) => {
    const { job, info, ignored } = await txt2img({ ...SMALL, ...script(...args) }, OPTIONS);
    expect(job?.post).toEqual([]);
    expect(info.extra_generation_params).toEqual({});
    expect(ignored).toEqual([]);
  });

  it('details an init image as it is where img2img is skipped', async () => {
    const body = { ...SMALL, init_images: [image], ...script(true, true, FACES) };
    const { job } = await img2img(body, OPTIONS);
    expect(job).toMatchObject({ skipPasses: true, post: [{ kind: 'detail' }] });
    const inpainting = await img2img({ ...body, mask }, OPTIONS);
    expect(inpainting.job).not.toHaveProperty('skipPasses');
    expect(inpainting.job?.post).toEqual([]);
    expect(inpainting.ignored).toEqual(['alwayson_scripts.adetailer']);
  });

  it('leaves alone what is found outside the mask of a whole picture', async () => {
    const body = { ...SMALL, init_images: [image], mask, ...script(FACES) };
    const whole = await img2img({ ...body, inpaint_full_res: false, inpainting_mask_invert: 1 }, OPTIONS);
    expect(whole.job?.post).toMatchObject([{ regions: { touching: { invert: true } } }]);
    const only = await img2img({ ...body, inpaint_full_res: true }, OPTIONS);
    expect(only.job?.post).not.toHaveProperty('0.regions.touching');
  });

  it('finds what words name by an installed network, as YOLO-World does', async () => {
    const detector = testAddOn('finder', 'dino');
    const installed = { ...detector, pack: { ...detector.pack, network: 'owlvit' } };
    const unit = { ad_model: 'yolov8x-worldv2.pt', ad_model_classes: 'cat, red hat,', ad_confidence: 0.2 };
    const { step, ignored } = await detail(unit, {}, [installed]);
    expect(step?.finder).toEqual({ kind: 'text', model: 'dino', text: 'cat. red hat', threshold: 0.2 });
    expect(ignored).toEqual([]);
  });

  it('names what has no effect', async () => {
    const { ignored } = await detail({
      ...FACES,
      ad_model_classes: 'cat',
      ad_use_vae: true,
      ad_vae: 'nowhere',
      unknown_field: 1,
    });
    expect(ignored).toEqual([
      'alwayson_scripts.adetailer.ad_vae',
      'alwayson_scripts.adetailer.args.2.ad_model_classes',
      'alwayson_scripts.adetailer.args.2.unknown_field',
    ]);
  });

  it.each([
    [{ ad_model: 'hand_yolov8n.pt' }, 422, 'only faces and persons are found here'],
    [{ ad_model: 'mediapipe_face_mesh_eyes_only' }, 422, 'only faces and persons are found here'],
    [{ ad_model: 'yolov8x-world.pt' }, 422, "'ad_model_classes' is empty"],
    [{ ad_model: 'yolov8x-world.pt', ad_model_classes: 'cat' }, 404, 'Import a Grounding DINO'],
    [{ ad_model: 'cat.pt' }, 500, "Model 'cat.pt' not found"],
    [{ ...FACES, ad_confidence: 2 }, 422, 'ad_confidence (max)'],
    [{ ...FACES, ad_mask_merge_invert: 'Both' }, 422, 'ad_mask_merge_invert (one_of)'],
    [
      { ...FACES, ad_use_checkpoint: true, ad_checkpoint: 'gone' },
      500,
      'Could not find checkpoint with name gone',
    ],
    [{ ...FACES, ad_controlnet_model: 'gone' }, 422, 'model(gone) not found'],
  ])('refuses %j before any work', async (unit, status, words) => {
    const { job, status: answered, answer } = await detail(unit);
    expect(answered).toBe(status);
    expect(`${answer.detail}${answer.errors}`).toContain(words);
    expect(job).toBeUndefined();
  });

  it('is listed among the scripts', async () => {
    const api = createApi(createFakeHost());
    const { txt2img: scripts } = await jsonOf<{ txt2img: string[] }>(api.request('/sdapi/v1/scripts'));
    expect(scripts).toContain('adetailer');
  });
});
