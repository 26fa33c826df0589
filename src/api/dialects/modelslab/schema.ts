import * as v from 'valibot';
import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { honoured, noEffect, param, partOf, requiredParam } from '#api/parameters.ts';
import type { BodyOf } from '#api/parameters.ts';
import { SAFETY_CHECKER_TYPES } from '#api/safety.ts';
import { body, integer, listOf, number, oneOf, seed, text, yesNo } from './fields.ts';

/** The service writes its SDE variant with three plus signs; diffusers' own names are understood. */
const ALGORITHM_TYPES = [
  'none',
  'dpmsolver+++',
  'sde-dpmsolver++',
  'dpmsolver++',
  'sde-dpmsolver',
  'dpmsolver',
] as const;

const says = (value: unknown) => value === true;

const key = { key: param(text(), null, honoured, 'Any key, or the one that was set') };

const side = integer(256, 1024);

/** What every generation endpoint takes, except for the prompt. */
const common = {
  ...key,
  model_id: param(text(), null, honoured, 'The model; the selected one by default'),
  negative_prompt: param(text(), null, honoured, 'What not to generate'),
  width: param(side, 512, honoured, 'Pixels, a multiple of 8'),
  height: param(side, 512, honoured, 'Pixels, a multiple of 8'),
  samples: param(integer(1, 4), 1, honoured, 'How many images'),
  num_inference_steps: param(integer(1, 1000), 21, honoured, 'Steps, at most 50; more are treated as 50'),
  safety_checker: param(yesNo(), true, honoured, 'Hide NSFW images'),
  safety_checker_type: param(
    oneOf(SAFETY_CHECKER_TYPES),
    'sensitive_content_text',
    partOf('safety_checker'),
    'How they are hidden',
  ),
  enhance_prompt: param(yesNo(), true, honoured, 'Add quality words to the prompt'),
  seed: param(seed(), null, honoured, 'Seed of the first image; the next ones count up'),
  guidance_scale: param(number(1, 20), 7.5, honoured, 'CFG scale'),
  tomesd: param(yesNo(), true, honoured, 'Merge tokens of large images: faster'),
  use_karras_sigmas: param(yesNo(), true, honoured, 'Karras sigmas, if the scheduler supports them'),
  algorithm_type: param(oneOf(ALGORITHM_TYPES), 'none', honoured, 'Variant of DPMSolverMultistepScheduler'),
  vae: param(text(), null, honoured, 'An installed VAE'),
  lora_model: param(text(), null, honoured, 'Installed LoRAs, separated by commas'),
  lora_strength: param(text(), null, honoured, 'Their strengths, separated by commas'),
  scheduler: param(oneOf(DIFFUSERS_SCHEDULERS), 'UniPCMultistepScheduler', honoured, 'The sampler'),
  clip_skip: param(integer(1, 8), 1, honoured, 'Clip skip: which of the text encoder’s last layers is used'),
  webhook: param(text(), null, honoured, 'URL to call at the end'),
  track_id: param(text(), null, honoured, 'Repeated to the webhook'),
  base64: param(yesNo(), false, honoured, 'Images as base64 text'),
  temp: param(yesNo(), false, honoured, 'URLs that expire after 24 hours'),
  multi_lingual: param(yesNo(), false, noEffect('prompts are not translated', says), 'Translate the prompt'),
  embeddings_model: param(text(), null, honoured, 'Installed embeddings, separated by commas'),
  loadbalancer: param(text(), null, noEffect('there is one server'), 'Which server'),
};

const prompt = requiredParam(text(), honoured, 'What to generate');
const upscale = param(yesNo(), false, honoured, 'Double the sides of the images');

/** `POST text2img`. */
export const text2img = body({
  ...common,
  prompt,
  panorama: param(yesNo(), false, honoured, 'Overlapping windows of the trained size, for wide images'),
  self_attention: param(yesNo(), false, honoured, 'Self-attention guidance'),
  upscale,
  highres_fix: param(
    yesNo(),
    false,
    honoured,
    'A first pass at the trained size, a second one at the size asked for',
  ),
});

export type Text2imgBody = BodyOf<typeof text2img>;

const initImage = requiredParam(text(), honoured, 'Where to start: a URL, a data URI or base64');
const strength = param(number(0, 1), 0.7, honoured, 'Denoising strength');

/** `POST img2img`. */
export const img2img = body({ ...common, prompt, init_image: initImage, strength });

export type Img2imgBody = BodyOf<typeof img2img>;

/** `POST inpaint`. */
export const inpaint = body({
  ...common,
  prompt,
  init_image: initImage,
  mask_image: requiredParam(text(), honoured, 'White is inpainted'),
  strength,
});

export const CONTROL_TYPES = [
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

/** `POST controlnet`. */
export const controlnet = body({
  ...common,
  prompt: param(text(), '', honoured, 'What to generate; optional with guess_mode'),
  init_image: requiredParam(
    text(),
    honoured,
    'The control image; with control_image or mask_image where to start: a URL, a data URI or base64',
  ),
  control_image: param(text(), null, honoured, 'A control image other than init_image'),
  mask_image: param(text(), null, honoured, 'White is inpainted'),
  controlnet_model: requiredParam(
    text(),
    honoured,
    'Installed ControlNets, or their types, a list with commas',
  ),
  controlnet_type: param(listOf(CONTROL_TYPES), null, honoured, 'Their types, separated by commas'),
  auto_hint: param(yesNo(), false, honoured, 'Preprocess the control image: canny, scribble, lineart'),
  guess_mode: param(yesNo(), false, honoured, 'Follow the control image more than the prompt'),
  controlnet_conditioning_scale: param(number(0, 10), 1, honoured, 'Strength of the ControlNets'),
  strength: param(number(0, 1), 0.7, partOf('control_image'), 'Denoising strength, also with mask_image'),
  upscale,
});

export type ControlnetBody = BodyOf<typeof controlnet>;

/** `POST super_resolution`. */
export const superResolution = body({
  ...key,
  url: requiredParam(text(), honoured, 'The image: a URL, a data URI or base64'),
  scale: requiredParam(number(1, 4), honoured, 'Factor'),
  model_id: param(text(), null, honoured, 'Name of an installed upscaler'),
  face_enhance: param(yesNo(), false, honoured, 'Restore faces'),
  webhook: param(text(), null, honoured, 'URL to call at the end'),
});

export type SuperResolutionBody = BodyOf<typeof superResolution>;

/** `POST fetch`. */
export const fetchBody = body({ ...key, request_id: requiredParam(text(), honoured, 'The id of a request') });

/** Bodies with only the key. */
export const keyBody = body(key);

const modelId = requiredParam(text(), honoured, 'What requests call the model');

/** `POST verify_model` and `delete_model`. */
export const modelBody = body({ ...key, model_id: modelId });

const found = noEffect('read from the file');
const loading = {
  revision: param(text(), null, found, 'Number format'),
  webhook: param(text(), null, noEffect('get_all_models shows the progress'), 'URL to call at the end'),
};

/** `POST load_model` and `load_model_v2`. */
export const loadModelBody = body({
  ...key,
  model_id: modelId,
  url: param(text(), null, honoured, 'Its URL: a file, or a Hugging Face repository'),
  model_type: param(text(), null, found, 'What it is'),
  model_category: param(text(), null, found, 'What it is'),
  model_format: param(text(), null, found, 'Its format'),
  from_safetensors: param(yesNo(), null, found, 'Its format'),
  upcast_attention: param(yesNo(), null, found, 'Attention in float32'),
  ...loading,
});

/** `POST load_vae`. */
export const loadVaeBody = body({
  ...key,
  vae_id: requiredParam(text(), honoured, 'What requests call the VAE'),
  vae_url: param(text(), null, honoured, 'Its URL; without it an installed VAE becomes the default'),
  vae_type: param(text(), null, found, 'Its format'),
  ...loading,
});

/** `POST upload_image`. */
export const uploadBody = body({
  ...key,
  base64_image: requiredParam(text(), honoured, 'The image'),
  image_type: param(oneOf(['png', 'jpeg', 'jpg']), null, found, 'Its format'),
});

/** `POST nsfw_image_check`. */
export const imageCheckBody = body({ ...key, init_image: requiredParam(text(), honoured, 'The image') });

export const imageCheckAnswer = v.object({
  status: v.literal('success'),
  has_nsfw_concept: v.array(v.boolean()),
});

/** What is kept with a job for its later answers. */
export const replySchema = v.object({
  webhook: v.nullable(v.string()),
  track_id: v.nullable(v.string()),
  base64: v.boolean(),
  /** Missing in records of earlier versions. */
  temp: v.optional(v.boolean(), false),
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
  nsfw_content_detected: v.optional(v.boolean()),
  meta: v.optional(v.record(v.string(), v.unknown())),
});
