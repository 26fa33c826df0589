import { createNoiseStream, type NoiseStream } from '#engine/random/latent-noise.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import type { BatchStart } from '#engine/stages/denoise/sampling-run.ts';
import { latentLength } from '#engine/stages/denoise/unet.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import { pixelsToPlanes, stretch, type Pixels } from '#engine/stages/pixels/resize.ts';
import type { Planes } from '#engine/stages/pixels/tiles.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { Size } from '#protocol/job.ts';
import { encodeLatents, type Posterior } from './encode-latents.ts';
import { averagedCells, hideMasked, nearestCells } from './mask.ts';
import type { InitImages } from './read-init.ts';
import { isInpaintingModel } from './sampling-start.ts';

/** What is known of init images, which several batches may start from: whole ones, and ones with the masked part hidden. */
export interface EncodedImages {
  clean: WeakMap<object, Posterior>;
  hidden: WeakMap<object, Posterior>;
}

/** What a batch begins with, and the generators that its sampler goes on with. */
export interface StartLatents {
  start: BatchStart;
  noise: NoiseStream;
}

/**
 * The latents that a pass over a batch starts from: noise, or images encoded by the VAE.
 *
 * Of the generators it draws what diffusers draws, in its order: the image's latents, the noise, the masked image's
 * latents. A1111's own draws for latents come from elsewhere and cannot be repeated: there latents are the mean of what
 * they may be, all but the same.
 *
 * @throws AppError `unsupported_feature` for models without a VAE encoder, and what the runtime throws
 */
export const initLatents: Stage<LoadedBatch & { from: InitImages | null }, StartLatents> = async (
  run,
  input,
) => {
  const { batch, pass, model, start, from } = input;
  const { shape, runSize } = pass;
  const noise = openNoise(input);
  const drawsLatents = pass.spec.sampler.family === 'diffusers';
  const mask = from?.mask ? await stretch(from.mask, runSize) : null;
  const sample = (posteriors: readonly Posterior[], draw: Float32Array | null) =>
    sampleLatents(posteriors, draw, model.scalingFactor);
  const encode = async (known: WeakMap<object, Posterior>, key: object, image: () => Promise<Planes>) => {
    const posterior = known.get(key) ?? (await encodeLatents(run.runtime, model, await image()));
    known.set(key, posterior);
    return posterior;
  };
  const read = async (image: Pixels) => pixelsToPlanes(await stretch(image, runSize), -1);
  const { clean: knownClean, hidden: knownHidden } = pass.encoded;

  const clean =
    from && start.from === 'init'
      ? await inTurn(from.images, (image) => encode(knownClean, image, () => read(image)))
      : null;
  const cells = mask ? nearestCells(mask, shape) : new Float32Array(shape.height * shape.width).fill(1);
  const kept = mask && !drawsLatents ? await averagedCells(mask, shape) : cells;
  const hidden = isInpaintingModel(model.unet, shape)
    ? await inTurn(batch.images, (_, index) => {
        const image = from?.images[index];
        // Without a mask all of the image is hidden, as A1111 has inpainting models generate.
        return image && mask
          ? encode(knownHidden, image, async () => hideMasked(await read(image), mask))
          : encode(knownHidden, pass, () => Promise.resolve(greyPlanes(runSize)));
      })
    : null;

  const init = clean && sample(clean, drawsLatents ? noise.next() : null);
  const first = noise.first();
  // diffusers draws this one also for models that are shown nothing.
  const draw = mask && drawsLatents ? noise.next() : null;
  const seen = hidden && sample(hidden, draw);
  const isMasked = start.from === 'init' && start.masked === true;
  return {
    noise,
    start: {
      noise: first,
      ...(init && { init }),
      ...(isMasked && { mask: repeat(kept, shape.channels * batch.images.length) }),
      ...(seen && {
        extraChannels: { channels: shape.channels + 1, data: interleave(cells, seen, latentLength(shape)) },
      }),
    },
  };
};

/** The batch's generators; each pass has them from the start, as in A1111's hires fix. */
function openNoise({ job, batch, pass: { shape, model }, plan }: LoadedBatch): NoiseStream {
  return createNoiseStream(
    { ...job.noise, etaNoiseSeedDelta: plan.usesEnsd ? job.noise.etaNoiseSeedDelta : 0 },
    batch.images,
    [shape.channels, shape.height, shape.width],
    model.pack.latent.downscale,
  );
}

/** One after the other: networks run one at a time, and their images take memory. */
async function inTurn<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) results.push(await work(item, index));
  return results;
}

function greyPlanes({ width, height }: Size): Planes {
  return { channels: 3, height, width, data: new Float32Array(3 * width * height) };
}

/**
 * Latents of each image of a batch, scaled for the UNet: drawn from their distributions.
 * @param noise unit noise, image after image; without it they are the means
 */
function sampleLatents(
  posteriors: readonly Posterior[],
  noise: Float32Array | null,
  scalingFactor: number,
): Float32Array {
  const length = posteriors[0]?.mean.length ?? 0;
  const latents = new Float32Array(posteriors.length * length);
  for (const [image, { mean, deviation }] of posteriors.entries()) {
    for (let i = 0; i < length; i++) {
      const at = image * length + i;
      const spread = noise && deviation ? (deviation[i] ?? 0) * (noise[at] ?? 0) : 0;
      latents[at] = scalingFactor * ((mean[i] ?? 0) + spread);
    }
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
