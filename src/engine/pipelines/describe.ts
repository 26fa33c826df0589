import { writeInfotext } from '#codecs/infotext.ts';
import type { LoadedModel } from '#engine/models/model.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { PictureSpec, TextToImageJob } from '#protocol/job.ts';
import type { Size } from './draw-size.ts';
import { RESIZE_METHOD } from './resize.ts';

/** Digits of a model's hash in infotexts. */
const HASH_DIGITS = 10;

/** Numbers of A1111's float fields, as Python prints them: `7.0`. */
function asFloat(value: number): string {
  return Number.isInteger(value) ? `${String(value)}.0` : String(value);
}

function modelHash({ pack }: LoadedModel): string {
  const largest = pack.files.reduce((best, file) => (file.sizeBytes > best.sizeBytes ? file : best));
  return largest.sha256.slice(0, HASH_DIGITS);
}

/**
 * A1111's infotext of a picture. Pairs come in A1111's order (modules/processing.py, `create_infotext`); a
 * picture drawn at another size than asked for says so.
 */
export function describePicture(
  job: TextToImageJob,
  spec: PictureSpec,
  model: LoadedModel,
  plan: SamplingPlan,
  drawn: Size,
): string {
  const { noise, promptOptions, output } = job;
  const sampler = job.sampler.family === 'diffusers' ? job.sampler.scheduler : job.sampler.sampler;
  const resized = drawn.width !== job.width || drawn.height !== job.height;
  const pairs: (readonly [string, string | null])[] = [
    ['Steps', String(job.steps)],
    ['Sampler', output.metadata?.samplerLabel ?? sampler],
    ['Schedule type', output.metadata ? output.metadata.scheduleLabel : plan.schedule],
    ['CFG scale', asFloat(job.guidanceScale)],
    ['Seed', spec.seed.toString()],
    ['Size', `${String(job.width)}x${String(job.height)}`],
    ['Model hash', modelHash(model)],
    ['Model', model.pack.id],
    ['Variation seed', noise.subseedStrength === 0 ? null : spec.subseed.toString()],
    ['Variation seed strength', noise.subseedStrength === 0 ? null : String(noise.subseedStrength)],
    ['Seed resize from', noise.resizeFrom ? `${String(noise.resizeFrom.width)}x${String(noise.resizeFrom.height)}` : null],
    ['Clip skip', promptOptions.clipSkip > 1 ? String(promptOptions.clipSkip) : null],
    ['ENSD', noise.etaNoiseSeedDelta === 0 || !plan.usesEnsd ? null : String(noise.etaNoiseSeedDelta)],
    ['RNG', noise.source === 'torch-cpu' ? 'CPU' : null],
    ['Drawn at', resized ? `${String(drawn.width)}x${String(drawn.height)}` : null],
    ['Resized with', resized ? RESIZE_METHOD : null],
    ...(output.metadata?.extra ?? []),
    ['Version', 'Vitrine'],
  ];
  return writeInfotext({
    prompt: spec.prompt.join(', '),
    negativePrompt: spec.negativePrompt.join(', '),
    pairs: pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null),
  });
}
