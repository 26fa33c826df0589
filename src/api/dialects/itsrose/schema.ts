import * as v from 'valibot';
import { defineFields, type Coercion } from '#api/fields.ts';
import { SAFETY_CHECKER_TYPES } from '#api/safety.ts';
import { honoured, noEffect, param, parameters, requiredParam, type BodyOf } from '#api/parameters.ts';

/** Reads values as Fastify's validator (ajv with type coercion) does. */
const ajvCoercion: Coercion = {
  integer: readNumber,
  number: readNumber,
  boolean: (value) => (value === 'true' ? true : value === 'false' ? false : value),
  string: (value) => (typeof value === 'number' || typeof value === 'bigint' ? String(value) : value),
};

function readNumber(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
    ? Number(value)
    : value;
}

const f = defineFields(ajvCoercion);

/** `yes` or `no`; real booleans are understood. */
const yesNo = () =>
  v.pipe(
    v.unknown(),
    v.transform((value) => (value === true ? 'yes' : value === false ? 'no' : value)),
    v.picklist(['yes', 'no'], 'one_of'),
  );

/** What all generations take. Four switches are off when they are not sent, though the documentation says they are on. */
const common = {
  model_id: requiredParam(f.string(), honoured, 'The model'),
  prompt: requiredParam(f.string(), honoured, 'What to generate'),
  negative_prompt: param(f.string(), '', honoured, 'What not to generate'),
  width: param(f.integer({ min: 1, max: 1024 }), 512, honoured, 'Pixels'),
  height: param(f.integer({ min: 1, max: 1024 }), 512, honoured, 'Pixels'),
  samples: param(f.integer({ min: 1, max: 1 }), 1, honoured, 'How many images'),
  num_inference_steps: param(f.integer({ min: 5, max: 25 }), 21, honoured, 'Steps'),
  safety_checker: param(yesNo(), 'yes', honoured, 'Hide NSFW images'),
  safety_checker_type: param(
    f.oneOf(SAFETY_CHECKER_TYPES),
    'sensitive_content_text',
    honoured,
    'How they are hidden',
  ),
  enhance_prompt: param(yesNo(), 'yes', honoured, 'Add quality words to the prompt'),
  seed: param(f.string(), null, honoured, 'Seed; null for a random one'),
  guidance_scale: param(f.number({ min: 0, max: 20 }), null, honoured, 'CFG scale'),
  cfg_scale: param(f.number({ min: 0, max: 20 }), null, honoured, 'The same'),
  panorama: param(yesNo(), 'no', honoured, 'Overlapping windows of the trained size, for wide images'),
  self_attention: param(yesNo(), 'no', honoured, 'Self-attention guidance'),
  upscale: param(yesNo(), 'no', honoured, 'Double the sides of the image'),
  highres_fix: param(
    yesNo(),
    'no',
    honoured,
    'A first pass at the trained size, a second one at the size asked for',
  ),
  embeddings_model: param(f.string(), null, honoured, 'Installed embeddings, separated by commas'),
  tomesd: param(yesNo(), 'yes', honoured, 'Merge tokens of large images: faster'),
  use_karras_sigmas: param(yesNo(), 'yes', honoured, 'Karras sigmas, if the scheduler supports them'),
  algorithm_type: param(
    f.oneOf(['dpmsolver+++']),
    'dpmsolver+++',
    honoured,
    'Variant of DPMSolverMultistepScheduler',
  ),
  vae: param(f.string(), null, honoured, 'An installed VAE'),
  lora_strength: param(f.string(), '1', honoured, 'Strengths of the LoRAs, separated by commas'),
  lora_model: param(f.string(), null, honoured, 'Installed LoRAs, separated by commas'),
  scheduler: requiredParam(f.string(), honoured, 'The sampler'),
  clip_skip: param(
    f.integer({ min: 1, max: 10 }),
    null,
    honoured,
    'Clip skip: which of the text encoder’s last layers is used',
  ),
  server_id: param(f.string(), null, noEffect('there is one server'), 'Which server'),
  nsfw_filter: param(f.json(), null, honoured, 'Hide NSFW images, whatever safety_checker says'),
};

/** `POST /sdapi/txt2img`. */
export const txt2imgBody = parameters(common);

export type Txt2imgBody = BodyOf<typeof txt2imgBody>;

/** What both routes that start from an image add. */
export type ImageFields = Pick<BodyOf<typeof inpaintBody>, 'init_image' | 'strength'> & {
  mask_image?: string;
};

const initImage = requiredParam(f.string(), honoured, 'Where to start: a URL or a data URI');
const strength = param(f.number({ min: 0, max: 1 }), 0.7, honoured, 'Denoising strength');

/** `POST /sdapi/img2img`. */
export const img2imgBody = parameters({ ...common, init_image: initImage, strength });

/** `POST /sdapi/inpaint`. */
export const inpaintBody = parameters({
  ...common,
  init_image: initImage,
  mask_image: requiredParam(f.string(), honoured, 'White is inpainted'),
  strength,
});

/** `GET /sdapi/generate_prompt`. */
export const generatePromptQuery = parameters({
  init_image: requiredParam(f.string(), honoured, 'The image: a URL or a data URI'),
});

export const generatePromptAnswer = v.object({
  status: v.literal(true),
  message: v.string(),
  result: v.object({ prompt: v.string() }),
});

export const txt2imgAnswer = v.object({
  status: v.literal(true),
  message: v.string(),
  result: v.object({
    generation_time: v.string(),
    images: v.array(v.string()),
    nsfw_content_detected: v.boolean(),
    meta: v.record(v.string(), v.unknown()),
  }),
});
