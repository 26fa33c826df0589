import * as v from 'valibot';
import { defineFields, type Coercion } from '#api/fields.ts';
import { honoured, ignored, type ParameterTable } from '#api/parameters.ts';

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

/**
 * `POST /sdapi/txt2img`. The four switches that would turn every image into an upscaled panorama are off
 * when they are not sent, though the documentation says that they are on.
 */
export const txt2imgBody = f.model({
  model_id: f.string(),
  prompt: f.string(),
  negative_prompt: f.optional(f.string(), ''),
  width: f.optional(f.integer({ min: 1, max: 1024 }), 512),
  height: f.optional(f.integer({ min: 1, max: 1024 }), 512),
  samples: f.optional(f.integer({ min: 1, max: 1 }), 1),
  num_inference_steps: f.optional(f.integer({ min: 5, max: 25 }), 21),
  safety_checker: f.optional(yesNo(), 'yes'),
  safety_checker_type: f.optional(
    f.oneOf(['blur', 'sensitive_content_text', 'pixelate', 'black']),
    'sensitive_content_text',
  ),
  enhance_prompt: f.optional(yesNo(), 'yes'),
  seed: f.optional(f.string(), null),
  guidance_scale: f.optional(f.number({ min: 0, max: 20 }), null),
  cfg_scale: f.optional(f.number({ min: 0, max: 20 }), null),
  panorama: f.optional(yesNo(), 'no'),
  self_attention: f.optional(yesNo(), 'no'),
  upscale: f.optional(yesNo(), 'no'),
  highres_fix: f.optional(yesNo(), 'no'),
  embeddings_model: f.optional(f.string(), null),
  tomesd: f.optional(yesNo(), 'yes'),
  use_karras_sigmas: f.optional(yesNo(), 'yes'),
  algorithm_type: f.optional(f.oneOf(['dpmsolver+++']), 'dpmsolver+++'),
  vae: f.optional(f.string(), null),
  lora_strength: f.optional(f.string(), '1'),
  lora_model: f.optional(f.string(), null),
  scheduler: f.string(),
  clip_skip: f.optional(f.integer({ min: 1, max: 10 }), null),
  server_id: f.optional(f.string(), null),
  nsfw_filter: f.optional(f.json(), null),
});

export type Txt2imgBody = v.InferOutput<typeof txt2imgBody>;

const noSafetyChecker = ignored('there is no safety checker: nothing leaves the machine, nothing is judged');

export const txt2imgParameters: ParameterTable = {
  model_id: honoured,
  prompt: honoured,
  negative_prompt: honoured,
  width: honoured,
  height: honoured,
  samples: honoured,
  num_inference_steps: honoured,
  safety_checker: noSafetyChecker,
  safety_checker_type: noSafetyChecker,
  nsfw_filter: noSafetyChecker,
  enhance_prompt: honoured,
  seed: honoured,
  guidance_scale: honoured,
  cfg_scale: honoured,
  panorama: ignored('documented as on by default; images are drawn in one piece'),
  self_attention: ignored('documented as on by default; a quality setting of the original'),
  upscale: honoured,
  highres_fix: ignored('always so: models draw at a size they were trained for, and the result is upscaled'),
  embeddings_model: honoured,
  tomesd: ignored('token merging trades quality for speed'),
  use_karras_sigmas: honoured,
  algorithm_type: honoured,
  vae: honoured,
  lora_model: honoured,
  lora_strength: honoured,
  scheduler: honoured,
  clip_skip: honoured,
  server_id: ignored('there is one server'),
};

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
