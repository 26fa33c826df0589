import { createNoiseStream, type NoiseStream } from '#engine/random/latent-noise.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import type { BatchStart } from '#engine/stages/denoise/sampling-run.ts';
import { latentLength } from '#engine/stages/denoise/unet.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { maskedLatents } from '#imaging/a1111/inpaint-latents.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { encodeSources, sampleLatents, type Posterior } from './encode-sources.ts';
import { encodeHidden, type Hidden } from './hidden-images.ts';
import { inpaintFeatures } from './inpaint-features.ts';
import type { PassSource } from './pass-source.ts';
import { MASKED_CONTENTS } from './prepare-a1111.ts';

/** What is known of init images, which several batches may start from: whole ones, and ones with the masked part hidden. */
export interface EncodedImages {
  clean: WeakMap<object, Posterior>;
  hidden: WeakMap<object, Hidden>;
  /** What an inpaint patch makes of them. */
  features: WeakMap<object, Float32Array>;
}

/** What a batch begins with, and the generators that its sampler continues with. */
export interface StartLatents {
  start: BatchStart;
  noise: NoiseStream;
}

/** The batch, and what each of its images starts from; null is noise. */
export interface InitInput extends LoadedBatch {
  sources: readonly PassSource[] | null;
}

/**
 * The latents that a pass over a batch starts from: noise, images encoded by the VAE, or those of the pass before.
 *
 * Of the generators it draws what diffusers draws, in its order: the image's latents, the noise, the masked image's
 * latents. A1111's and ComfyUI's own draws for latents come from elsewhere and cannot be repeated: there latents are the
 * mean of what they may be, all but the same.
 *
 * @throws AppError `unsupported_feature` for models without a VAE encoder, and what the runtime throws
 */
export const initLatents: Stage<InitInput, StartLatents> = async (run, input) => {
  const { job, batch, pass, model, start, sources } = input;
  const { shape } = pass;
  const noise = openNoise(input);
  const draws = drawsLatents(job, pass.spec);
  const isFromInit = sources !== null && start.from === 'init';

  const clean = isFromInit ? await encodeSources(run, input, sources) : null;
  const hidden = await encodeHidden(run, input);
  const feature = await inpaintFeatures(run, input);
  const init = clean && sampleLatents(clean, draws ? noise.next() : null, model.scalingFactor);
  const first = scaleNoise(noise.first(), input);
  // diffusers draws this one also for models that are shown nothing.
  const isMasked = sources?.some(({ mask }) => mask !== null) === true;
  const draw = isMasked && draws ? noise.next() : null;
  const seen =
    hidden &&
    sampleLatents(
      hidden.map(({ posterior }) => posterior),
      draw,
      model.scalingFactor,
    );

  const mask = sources && batchMask(sources, input);
  return {
    noise,
    start: {
      noise: first,
      ...(init && { init: mask ? fillMasked(init, mask, input) : init }),
      ...(start.from === 'init' && start.masked === true && mask && { mask }),
      ...(job.init.from === 'masked' && job.init.soft && { soft: job.init.soft }),
      ...(feature && { inpaintFeature: feature }),
      ...(hidden &&
        seen && {
          extraChannels: {
            channels: shape.channels + 1,
            data: interleave(hidden, seen, latentLength(shape)),
          },
        }),
    },
  };

  function batchMask(from: readonly PassSource[], { pass: { shape: cells } }: InitInput): Float32Array {
    const length = latentLength(cells);
    const values = new Float32Array(batch.images.length * length).fill(1);
    for (const [image, each] of from.entries()) {
      if (each.mask) values.set(repeat(each.mask.cells(cells), cells.channels), image * length);
    }
    return values;
  }
};

/** diffusers draws an image's latents from their distribution. */
function drawsLatents({ init }: GenerateJob, { sampler }: LoadedBatch['pass']['spec']): boolean {
  return init.from === 'noise' ? sampler.family === 'diffusers' : init.rules === 'diffusers';
}

/** The batch's generators; each pass has them from the start, as in A1111's hires fix. */
function openNoise({ job, batch, pass: { shape, model }, plan }: LoadedBatch): NoiseStream {
  return createNoiseStream(
    { ...job.noise, etaNoiseSeedDelta: plan.usesEnsd ? job.noise.etaNoiseSeedDelta : 0 },
    batch.images,
    [shape.channels, shape.height, shape.width],
    model.pack.latent.downscale,
  );
}

/** A1111 weighs the noise of img2img, and not that of later passes. */
function scaleNoise(noise: Float32Array, { job, pass, sources }: InitInput): Float32Array {
  const { initialMultiplier: multiplier = 1 } = job.noise;
  const isWeighed = multiplier !== 1 && pass.index === 0 && sources !== null;
  return isWeighed ? noise.map((value) => value * multiplier) : noise;
}

/**
 * The init latents with noise or nothing in the masked part, where the first pass begins with that. The noise is that of
 * the job's first images, in all batches. Source: A1111 modules/processing.py, `inpainting_fill` 2 and 3.
 */
function fillMasked(
  init: Float32Array,
  mask: Float32Array,
  { job, batch, pass: { index, shape, model } }: InitInput,
): Float32Array {
  if (job.init.from !== 'masked' || index > 0) return init;
  const content = MASKED_CONTENTS[job.init.fill];
  if (content !== 'latent noise' && content !== 'latent nothing') return init;
  const noise = createNoiseStream(
    { source: job.noise.source, subseedStrength: 0, etaNoiseSeedDelta: 0 },
    job.images.slice(0, batch.images.length),
    [shape.channels, shape.height, shape.width],
    model.pack.latent.downscale,
  );
  const plane = { channels: 1, height: 1, width: mask.length, data: mask };
  return maskedLatents(init, plane, content, noise.first());
}

/** The mask before each image's latents of `length` numbers. */
function interleave(hidden: readonly Hidden[], latents: Float32Array, length: number): Float32Array {
  const parts = hidden.flatMap(({ cells }, image) => [
    cells,
    latents.subarray(image * length, (image + 1) * length),
  ]);
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}
