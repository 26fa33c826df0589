import type { LoadedModel } from '#engine/models/model.ts';
import type { NoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import type { SamplingStart } from '#engine/samplers/sampling-plan.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { Size } from './draw-size.ts';
import { encodeLatents, type Posterior } from './encode-latents.ts';
import { averagedCells, hideMasked, nearestCells } from './mask.ts';
import { readImage } from './read-image.ts';
import { pixelsToPlanes, stretch } from './resize.ts';
import type { BatchStart } from './sampling-run.ts';
import type { Planes } from './tiles.ts';
import { latentLength, type LatentShape } from './unet.ts';

/** What is under transparent parts: of images A1111's `img2img_background_color`; of masks, that nothing is generated. */
const [WHITE, BLACK] = [255, 0];

/**
 * Whether a UNet takes a mask and a masked image besides the latents, as inpainting models do.
 * @throws AppError `unsupported_feature` where it takes something else
 */
function isInpaintingModel(unet: Session, { channels }: Pick<LatentShape, 'channels'>): boolean {
  const taken = unet.inputDims('sample')[1];
  if (typeof taken !== 'number' || taken === channels) return false;
  if (taken === 2 * channels + 1) return true;
  throw new AppError(
    'unsupported_feature',
    `A UNet that takes ${taken} channels for latents of ${channels} cannot run.`,
  );
}

/** Where a job's runs start, for its sampler's plan. */
export function samplingStart(job: GenerateJob, model: LoadedModel): SamplingStart {
  if (job.task === 'txt2img') return { from: 'noise' };
  const { strength, exactSteps = false } = job.init;
  // diffusers leaves it to an inpainting model to keep what is outside the mask; A1111 and ComfyUI do so themselves.
  const trusted = job.sampler.family === 'diffusers' && isInpaintingModel(model.unet, model.pack.latent);
  if (job.task === 'inpaint' && trusted && strength === 1) return { from: 'noise' };
  return { from: 'init', strength, exactSteps, masked: job.task === 'inpaint' && !trusted };
}

/**
 * Reads and encodes what the images of a job start from, once for all of them.
 * @param start as {@link samplingStart} says
 * @returns what begins a batch of so many images. Of the generators it draws what diffusers draws, in its order:
 *   the image's latents, the noise, the masked image's latents. A1111's own draws for latents come from
 *   elsewhere and cannot be repeated: there latents are the mean of what they may be, all but the same.
 * @throws AppError `invalid_request` for files that are no images, `unsupported_feature` for models without a
 *   VAE encoder, and what the runtime throws
 */
export async function prepareStart(
  runtime: Runtime,
  model: LoadedModel,
  job: GenerateJob,
  start: SamplingStart,
  drawn: Size,
  shape: LatentShape,
): Promise<(noise: NoiseStream, images: number) => BatchStart> {
  const drawsLatents = job.sampler.family === 'diffusers';
  const image = job.task === 'txt2img' ? null : pixelsToPlanes(await read(job.init.image, WHITE, drawn), -1);
  const mask = job.task === 'inpaint' ? await read(job.mask, BLACK, drawn) : null;
  const encode = (planes: Planes) => encodeLatents(runtime, model, planes);

  const clean = image && start.from === 'init' ? await encode(image) : null;
  const cells = mask ? nearestCells(mask, shape) : new Float32Array(shape.height * shape.width).fill(1);
  const kept = mask && !drawsLatents ? await averagedCells(mask, shape) : cells;
  // Without a mask all of the image is hidden, as A1111 has inpainting models generate.
  const hidden = isInpaintingModel(model.unet, shape)
    ? await encode(mask && image ? hideMasked(image, mask) : grey(drawn))
    : null;

  return (noise, images) => {
    const sample = (posterior: Posterior, draw: Float32Array | null) =>
      sampleLatents(posterior, draw, images, model.scalingFactor);
    const init = clean && sample(clean, drawsLatents ? noise.next() : null);
    const first = noise.first();
    // diffusers draws this one also for models that are shown nothing.
    const draw = mask && drawsLatents ? noise.next() : null;
    const seen = hidden && sample(hidden, draw);
    const masked = start.from === 'init' && start.masked === true;
    return {
      noise: first,
      ...(init && { init }),
      ...(masked && { mask: repeat(kept, shape.channels * images) }),
      ...(seen && {
        extraChannels: { channels: shape.channels + 1, data: interleave(cells, seen, latentLength(shape)) },
      }),
    };
  };
}

async function read(file: Blob, background: number, size: Size) {
  return stretch(await readImage(file, background), size);
}

function grey({ width, height }: Size): Planes {
  return { channels: 3, height, width, data: new Float32Array(3 * width * height) };
}

/** Latents of each image of a batch, drawn with unit noise from their distribution, or its mean; scaled for the UNet. */
function sampleLatents(
  { mean, deviation }: Posterior,
  noise: Float32Array | null,
  images: number,
  scalingFactor: number,
): Float32Array {
  const latents = repeat(mean, images);
  for (let i = 0; i < latents.length; i++) {
    const spread = noise && deviation ? (deviation[i % mean.length] ?? 0) * (noise[i] ?? 0) : 0;
    latents[i] = scalingFactor * ((latents[i] ?? 0) + spread);
  }
  return latents;
}

/** The mask before each image's latents of `length` numbers. */
function interleave(mask: Float32Array, latents: Float32Array, length: number): Float32Array {
  const stride = mask.length + length;
  const all = new Float32Array((latents.length / length) * stride);
  for (let from = 0, to = 0; from < latents.length; from += length, to += stride) {
    all.set(mask, to);
    all.set(latents.subarray(from, from + length), to + mask.length);
  }
  return all;
}
