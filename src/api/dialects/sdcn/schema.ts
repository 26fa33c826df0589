import * as v from 'valibot';
import { honoured, refused, type ParameterTable } from '#api/parameters.ts';

/** The gateway reads what is not a number as the default, and moves numbers into their range. */
const clamped = (min: number, max: number, fallback: number) =>
  v.optional(
    v.pipe(
      v.unknown(),
      v.transform((value) => (typeof value === 'number' ? Math.min(max, Math.max(min, value)) : fallback)),
      v.number(),
      v.minValue(min),
      v.maxValue(max),
    ),
    fallback,
  );

const text = () =>
  v.optional(
    v.pipe(
      v.unknown(),
      v.transform((value) => (typeof value === 'string' ? value : '')),
      v.string(),
    ),
    '',
  );

/** `POST /txt2img`. Sizes and guidance that are not sent are not the gateway's 8×8 and 1, but usable. */
export const txt2imgBody = v.object(
  {
    prompt: text(),
    negative_prompt: text(),
    loras: v.optional(v.unknown()),
    seed: v.optional(
      v.pipe(
        v.unknown(),
        v.transform((value) =>
          typeof value === 'bigint' ? value : BigInt(typeof value === 'number' ? Math.trunc(value) : -1),
        ),
        v.bigint(),
      ),
      -1n,
    ),
    sampler_name: text(),
    steps: clamped(20, 60, 20),
    cfg_scale: clamped(1, 30, 7),
    width: clamped(8, 1024, 512),
    height: clamped(8, 1024, 512),
    model: v.optional(v.unknown()),
    upscale: v.optional(v.unknown()),
  },
  'object',
);

export type Txt2imgBody = v.InferOutput<typeof txt2imgBody>;

export const txt2imgParameters: ParameterTable = {
  prompt: honoured,
  negative_prompt: honoured,
  loras: honoured,
  seed: honoured,
  sampler_name: honoured,
  steps: honoured,
  cfg_scale: honoured,
  width: honoured,
  height: honoured,
  model: honoured,
  upscale: refused('the hires pass', (value) => typeof value === 'object' && value !== null),
};

export const txt2imgAnswer = v.object({ images: v.array(v.string()) });

export const anyBody = v.record(v.string(), v.unknown(), 'object');
