import * as v from 'valibot';
import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { honoured, ignored, refused, type ParameterTable } from '#api/parameters.ts';
import { body, listOf, number, oneOf, requiredText, saysYes, seed, text, yesNo } from './fields.ts';

/** The service writes its SDE variant with three plus signs; diffusers' own names are understood. */
const ALGORITHM_TYPES = [
  'none',
  'dpmsolver+++',
  'sde-dpmsolver++',
  'dpmsolver++',
  'sde-dpmsolver',
  'dpmsolver',
] as const;

const key = { key: text('key') };

/** What every generation endpoint takes, but for the prompt. */
const common = {
  ...key,
  model_id: text('model_id'),
  negative_prompt: text('negative_prompt'),
  width: number('width', { min: 256, max: 1024, whole: true, initial: 512 }),
  height: number('height', { min: 256, max: 1024, whole: true, initial: 512 }),
  samples: number('samples', { min: 1, max: 4, whole: true, initial: 1 }),
  num_inference_steps: number('num_inference_steps', { min: 1, max: 1000, whole: true, initial: 21 }),
  safety_checker: yesNo('safety_checker', true),
  safety_checker_type: oneOf(
    'safety_checker_type',
    ['sensitive_content_text', 'blur', 'pixelate', 'black'],
    'sensitive_content_text',
  ),
  enhance_prompt: yesNo('enhance_prompt', true),
  seed: seed('seed'),
  guidance_scale: number('guidance_scale', { min: 1, max: 20, initial: 7.5 }),
  tomesd: yesNo('tomesd', true),
  use_karras_sigmas: yesNo('use_karras_sigmas', true),
  algorithm_type: oneOf('algorithm_type', ALGORITHM_TYPES, 'none'),
  vae: text('vae'),
  lora_model: text('lora_model'),
  lora_strength: text('lora_strength'),
  scheduler: oneOf('scheduler', DIFFUSERS_SCHEDULERS, 'UniPCMultistepScheduler'),
  clip_skip: number('clip_skip', { min: 1, max: 8, whole: true, initial: 1 }),
  webhook: text('webhook'),
  track_id: text('track_id'),
  base64: yesNo('base64', false),
  temp: yesNo('temp', false),
  multi_lingual: yesNo('multi_lingual', false),
  embeddings_model: text('embeddings_model'),
  loadbalancer: text('loadbalancer'),
};

/** `POST text2img`. */
export const text2img = body({
  ...common,
  prompt: requiredText('prompt'),
  panorama: yesNo('panorama', false),
  self_attention: yesNo('self_attention', false),
  upscale: yesNo('upscale', false),
  highres_fix: yesNo('highres_fix', false),
});

export type Text2imgBody = v.InferOutput<typeof text2img>;

const noSafetyChecker = 'nothing leaves the machine, and nothing is judged';

/** What each parameter of `text2img` does here. */
export const text2imgParameters: ParameterTable = {
  key: honoured,
  model_id: honoured,
  prompt: honoured,
  negative_prompt: honoured,
  width: honoured,
  height: honoured,
  samples: honoured,
  num_inference_steps: honoured,
  safety_checker: ignored(noSafetyChecker, saysYes),
  safety_checker_type: ignored(noSafetyChecker),
  enhance_prompt: honoured,
  seed: honoured,
  guidance_scale: honoured,
  tomesd: ignored('token merging trades quality for speed', saysYes),
  use_karras_sigmas: honoured,
  algorithm_type: honoured,
  vae: honoured,
  lora_model: honoured,
  lora_strength: honoured,
  scheduler: honoured,
  clip_skip: honoured,
  webhook: honoured,
  track_id: honoured,
  base64: honoured,
  temp: ignored('images stay on this machine until they are deleted', saysYes),
  multi_lingual: ignored('prompts are read as they stand', saysYes),
  embeddings_model: honoured,
  loadbalancer: ignored('there is one server'),
  panorama: refused('panorama drawing', saysYes),
  self_attention: ignored('a quality setting of the original', saysYes),
  upscale: honoured,
  highres_fix: ignored(
    'always so: models draw at a size they were trained for, and the result is upscaled',
    saysYes,
  ),
};

const strength = number('strength', { min: 0, max: 1, initial: 0.7 });

/** `POST img2img`. */
export const img2img = body({
  ...common,
  prompt: requiredText('prompt'),
  init_image: requiredText('init_image'),
  strength,
});

/** `POST inpaint`. */
export const inpaint = body({
  ...common,
  prompt: requiredText('prompt'),
  init_image: requiredText('init_image'),
  mask_image: requiredText('mask_image'),
  strength,
});

const CONTROL_TYPES = [
  'canny',
  'depth',
  'hed',
  'mlsd',
  'normal',
  'openpose',
  'scribble',
  'segmentation',
  'inpaint',
  'softedge',
  'lineart',
  'shuffle',
  'tile',
  'face_detector',
  'qrcode',
] as const;

/** `POST controlnet`. With `guess_mode` it needs no prompt. */
export const controlnet = v.pipe(
  body({
    ...common,
    prompt: text('prompt'),
    init_image: requiredText('init_image'),
    control_image: text('control_image'),
    mask_image: text('mask_image'),
    controlnet_model: requiredText('controlnet_model'),
    controlnet_type: listOf('controlnet_type', CONTROL_TYPES),
    auto_hint: yesNo('auto_hint', false),
    guess_mode: yesNo('guess_mode', false),
    controlnet_conditioning_scale: number('controlnet_conditioning_scale', { min: 0, max: 10, initial: 1 }),
    strength,
    upscale: yesNo('upscale', false),
  }),
  v.forward(
    v.check((input) => input.guess_mode || (input.prompt ?? '').trim() !== '', 'prompt is required'),
    ['prompt'],
  ),
);

const SCALE_RANGE = 'scale must be between 1 and 4';

/** `POST super_resolution`. */
export const superResolution = body({
  ...key,
  url: requiredText('url'),
  scale: v.pipe(
    requiredText('scale'),
    v.transform(Number),
    v.number(SCALE_RANGE),
    v.minValue(1, SCALE_RANGE),
    v.maxValue(4, SCALE_RANGE),
  ),
  model_id: text('model_id'),
  face_enhance: yesNo('face_enhance', false),
  webhook: text('webhook'),
});

/** `POST fetch`. */
export const fetchBody = body({ ...key, request_id: requiredText('request_id') });

/** Bodies that hold the key alone. */
export const keyBody = body(key);

/** `POST verify_model`, `delete_model`, `load_model` and `load_model_v2`. */
export const modelBody = body({ ...key, model_id: requiredText('model_id') });

/** `POST load_vae`. */
export const vaeBody = body({ ...key, vae_id: requiredText('vae_id') });

/** `POST upload_image`. */
export const uploadBody = body({ ...key, base64_image: requiredText('base64_image') });

/** `POST nsfw_image_check`. */
export const imageCheckBody = body({ ...key, init_image: requiredText('init_image') });

/** What is kept with a job for its later answers. */
export const replySchema = v.object({
  webhook: v.nullable(v.string()),
  track_id: v.nullable(v.string()),
  base64: v.boolean(),
  meta: v.record(v.string(), v.unknown()),
  tip: v.nullable(v.string()),
});

export type Reply = v.InferOutput<typeof replySchema>;

/** The answer of a generation that is done, or under way. */
export const generationAnswer = v.looseObject({
  status: v.picklist(['success', 'processing', 'failed']),
  id: v.number(),
  output: v.union([v.array(v.string()), v.literal('')]),
  generationTime: v.optional(v.number()),
  eta: v.optional(v.number()),
  fetch_result: v.optional(v.string()),
  future_links: v.optional(v.array(v.string())),
  message: v.optional(v.string()),
  tip: v.optional(v.string()),
  meta: v.optional(v.record(v.string(), v.unknown())),
});
