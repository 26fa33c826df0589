import { createNoiseStream, type LatentSize } from '#engine/random/latent-noise.ts';
import { cropPlanes, upscaleDecoded, upscaleLatents } from '#imaging/a1111/hires.ts';
import { hiresSizes, type HiresSizes } from '#imaging/a1111/hires-size.ts';
import { decodedPixels } from '#imaging/a1111/img2img-result.ts';
import { inpaintConditioning } from '#imaging/a1111/inpaint-latents.ts';
import { DEFAULT_LATENT_UPSCALER, isLatentUpscaler } from '#imaging/a1111/latent-upscale.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { upscalerNamed } from './a1111-images.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { textToImage } from '../../support/jobs.ts';
import { openStages } from './a1111-stages.ts';
import { decode, encode, imageOf, sampleImg2img } from './closed-form.ts';
import {
  checkPixels,
  checkTensor,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

interface HiresCase extends ImageCase {
  parameters: {
    width: number;
    height: number;
    hr_upscaler: string | null;
    batch_size: number;
    seed: number;
    subseed: number;
    subseed_strength?: number;
    hr_scale?: number;
    hr_resize_x?: number;
    hr_resize_y?: number;
    hr_second_pass_steps?: number;
    steps: number;
  };
  options: { inpainting_mask_weight?: number };
  conditioning_key: 'crossattn' | 'hybrid';
  second_pass_steps_argument: number;
  upscale_to: [number, number];
  truncate: [number, number];
}

function noiseOf({ parameters }: HiresCase, size: LatentSize): Float32Array {
  const { seed, subseed, subseed_strength: strength = 0, batch_size: images } = parameters;
  const all = Array.from({ length: images }, (_, i) => ({
    seed: BigInt(seed + (strength === 0 ? i : 0)),
    subseed: BigInt(subseed + i),
  }));
  return createNoiseStream(
    { source: 'torch-cpu', subseedStrength: strength, etaNoiseSeedDelta: 0 },
    all,
    size,
    8,
  ).first();
}

async function secondLatents(first: Planes, sizes: HiresSizes, upscaler: string | null): Promise<Planes> {
  const name = upscaler ?? DEFAULT_LATENT_UPSCALER;
  if (isLatentUpscaler(name)) return upscaleLatents(first, sizes, name);
  const upscaled = await upscaleDecoded(decode(first), sizes, upscalerNamed(name));
  return cropPlanes(encode(upscaled), sizes.crop);
}

async function* hiresChecks(reference: HiresCase, files: CaseFiles): AsyncGenerator<Check> {
  const { parameters, images = {}, tensors = {} } = reference;
  const sizes = hiresSizes({
    size: parameters,
    scale: parameters.hr_scale ?? 2,
    resize: { width: parameters.hr_resize_x ?? 0, height: parameters.hr_resize_y ?? 0 },
  });
  yield checkValues('upscaled', [sizes.upscaleTo.width, sizes.upscaleTo.height], reference.upscale_to);
  yield checkValues('truncated', [sizes.truncate.width, sizes.truncate.height], reference.truncate);
  yield checkValues(
    'second pass steps',
    parameters.hr_second_pass_steps ?? parameters.steps,
    reference.second_pass_steps_argument,
  );

  const size: LatentSize = [4, parameters.height / 8, parameters.width / 8];
  const firstNoise = noiseOf(reference, size);
  yield checkTensor('first_noise', firstNoise, await files.tensor('first_noise'));
  const first = firstNoise.map((value) => 0.5 * value);
  yield checkTensor('first_latent', first, await files.tensor('first_latent'));

  const starts: Planes[] = [];
  for (let i = 0; i < parameters.batch_size; i++) {
    starts.push(await secondLatents(imageOf(first, i, size), sizes, parameters.hr_upscaler));
  }
  const [start] = starts;
  if (!start) return;
  const second = Float32Array.from(starts.flatMap(({ data }) => [...data]));
  yield checkTensor('second_latent', second, await files.tensor('second_latent'));
  const secondSize: LatentSize = [4, start.height, start.width];
  const secondNoise = noiseOf(reference, secondSize);
  yield checkTensor('second_noise', secondNoise, await files.tensor('second_noise'));
  if (tensors['image_conditioning'] !== undefined)
    yield await conditioningCheck(reference, files, sizes, start);

  yield* stageChecks(reference, sizes, files);

  const sampled = sampleImg2img(second, secondNoise);
  for (let i = 0; i < parameters.batch_size; i++) {
    const label = i === 0 ? 'result' : `result-${i}`;
    if (images[label] === undefined) continue;
    const image = decodedPixels(decode(imageOf(sampled, i, secondSize)));
    yield checkPixels(label, image, files.image(label), 1);
  }
}

/** The same by the stages of the engine. */
async function* stageChecks(
  { parameters, conditioning_key: key, images = {} }: HiresCase,
  sizes: HiresSizes,
  files: CaseFiles,
): AsyncGenerator<Check> {
  const { seed, subseed, subseed_strength: strength = 0, batch_size: batchSize } = parameters;
  const cells = (side: 'width' | 'height') => Math.floor(sizes.upscaleTo[side] / 8) - sizes.truncate[side];
  const job = textToImage({
    prompt: 'a',
    seeds: Array.from({ length: batchSize }, (_, i) => BigInt(seed + (strength === 0 ? i : 0))),
    width: parameters.width,
    height: parameters.height,
    batchSize,
    strength: 0.75,
    steps: 20,
    sampler: { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} },
    noise: { source: 'torch-cpu', subseedStrength: strength, etaNoiseSeedDelta: 0 },
  });
  const [first] = job.passes;
  const hires: GenerateJob = {
    ...job,
    images: job.images.map((spec, i) => ({ ...spec, subseed: BigInt(subseed + i) })),
    passes: [
      first,
      {
        ...first,
        size: { width: 8 * cells('width'), height: 8 * cells('height') },
        resizeTo: sizes.upscaleTo,
        resizeBy: parameters.hr_upscaler ?? DEFAULT_LATENT_UPSCALER,
      },
    ],
  };
  const stages = await openStages();
  for await (const { starts, finished } of stages.run(hires, key === 'hybrid')) {
    const [start, second] = starts;
    if (!start || !second?.init) throw new Error('A pass is missing.');
    for (const [label, data] of [
      ['first_noise', start.noise],
      ['second_latent', second.init],
      ['second_noise', second.noise],
    ] as const) {
      yield { ...checkTensor(label, data, await files.tensor(label)), label: `${label} of the stages` };
    }
    for (const [i, { image }] of finished.entries()) {
      const label = i === 0 ? 'result' : `result-${i}`;
      if (images[label] === undefined) continue;
      yield checkPixels(`${label} of the stages`, image, files.image(label), 1);
    }
  }
}

/**
 * What an inpainting model gets. With a mask weight below 1 that is the second pass's image, half hidden; else the
 * reference has the first pass's grey image, also where the second pass, which is larger, would need another.
 */
async function conditioningCheck(
  { parameters, options }: HiresCase,
  files: CaseFiles,
  sizes: HiresSizes,
  start: Planes,
): Promise<Check> {
  const { inpainting_mask_weight: weight = 1 } = options;
  const image =
    weight < 1
      ? decode(start)
      : createPlanes({ channels: 3, height: sizes.firstPass.height, width: sizes.firstPass.width });
  const cells = weight < 1 ? start : { width: parameters.width / 8, height: parameters.height / 8 };
  const extra = inpaintConditioning(image, null, { cells, rounded: true, weight });
  const joined = Float32Array.from([...extra.mask.data, ...encode(extra.visible).data]);
  return checkTensor('image_conditioning', joined, await files.tensor('image_conditioning'));
}

/** Whole runs with hires fix. */
export const a1111HiresKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-hires': kindRunner<HiresCase>('a1111-hires', hiresChecks),
};
