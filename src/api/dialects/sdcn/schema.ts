import * as v from 'valibot';
import type { Field } from '#api/fields.ts';
import { isRecord } from '#codecs/json.ts';
import { honoured, param, parameters, type BodyOf } from '#api/parameters.ts';

/** The gateway reads what is not a number as the default, and moves numbers into their range. */
const clamped = (min: number, max: number, fallback: number): Field<number> =>
  v.pipe(
    v.unknown(),
    v.transform((value) => (typeof value === 'number' ? Math.min(max, Math.max(min, value)) : fallback)),
    v.number(),
    v.minValue(min),
    v.maxValue(max),
  );

/** What is not a text counts as an empty one. */
const text = (): Field<string> =>
  v.pipe(
    v.unknown(),
    v.transform((value) => (typeof value === 'string' ? value : '')),
    v.string(),
  );

const seed: Field<bigint> = v.pipe(
  v.unknown(),
  v.transform((value) =>
    typeof value === 'bigint' ? value : BigInt(typeof value === 'number' ? Math.trunc(value) : -1),
  ),
  v.bigint(),
);

/** What both generations take. Missing sizes and guidance get usable defaults instead of the gateway's 8×8 and 1. */
const common = {
  prompt: param(text(), '', honoured, 'What to generate'),
  negative_prompt: param(text(), '', honoured, 'What not to generate'),
  loras: param(v.unknown(), null, honoured, 'LoRAs with their weights'),
  seed: param(seed, -1n, honoured, 'Seed; -1 for a random one'),
  sampler_name: param(text(), '', honoured, 'The sampler'),
  steps: param(clamped(20, 60, 20), 20, honoured, 'Steps'),
  cfg_scale: param(clamped(1, 30, 7), 7, honoured, 'CFG scale'),
  width: param(clamped(8, 1024, 512), 512, honoured, 'Pixels'),
  height: param(clamped(8, 1024, 512), 512, honoured, 'Pixels'),
  model: param(v.unknown(), null, honoured, 'The model; the selected one by default'),
};

/** `upscale` of `/txt2img`. */
const upscale = parameters({
  scale: param(clamped(1, 2, 1), 1, honoured, 'Factor'),
  denoising_strength: param(
    clamped(0.01, 0.99, 0.01),
    0.01,
    honoured,
    'Denoising strength of the second pass',
  ),
  upscaler: param(text(), '', honoured, '`Latent` or `ESRGAN 4x`'),
});

export type UpscaleBody = BodyOf<typeof upscale>;

/** What is not an object counts as not sent. */
const upscaleField: Field<UpscaleBody | null> = v.pipe(
  v.unknown(),
  v.transform((value) => (isRecord(value) ? value : null)),
  v.nullable(upscale.schema),
);

/** `POST /txt2img`. */
export const txt2imgBody = parameters({
  ...common,
  upscale: param(upscaleField, null, honoured, 'A second pass at a higher size'),
});

export type Txt2imgBody = BodyOf<typeof txt2imgBody>;

/** `POST /img2img`. */
export const img2imgBody = parameters({
  ...common,
  init_image: param(text(), '', honoured, 'Init image, in base64'),
  denoising_strength: param(clamped(0, 1, 0.5), 0.5, honoured, 'Denoising strength'),
});

export type Img2imgBody = BodyOf<typeof img2imgBody>;

/** `POST /interrogate`. */
export const interrogateBody = parameters({
  image: param(text(), '', honoured, 'The image, in base64'),
  model: param(text(), 'clip', honoured, '`clip` or `deepdanbooru`'),
});

export const txt2imgAnswer = v.object({ images: v.array(v.string()) });

export const interrogateAnswer = v.object({ caption: v.string() });
