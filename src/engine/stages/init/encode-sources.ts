import type { RunContext } from '#engine/stages/run/context.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { cropPlanes } from '#imaging/a1111/hires.ts';
import { crop } from '#imaging/pillow/paste.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { Size } from '#protocol/job.ts';
import { encodeLatents, type Posterior } from './encode-latents.ts';
import type { InitInput } from './init-latents.ts';
import type { PassSource } from './pass-source.ts';

export type { Posterior } from './encode-latents.ts';

/**
 * The latents of what each image of a batch starts from, at the size of the pass and the VAE's own scale. Images that
 * several batches share are encoded once.
 */
export async function encodeSources(
  run: RunContext,
  { pass, model }: InitInput,
  sources: readonly PassSource[],
): Promise<Posterior[]> {
  const encoded: Posterior[] = [];
  for (const { content, fit } of sources) {
    if (content.kind === 'latents') {
      const { scalingFactor } = model;
      encoded.push({ mean: content.latents.data.map((value) => value / scalingFactor), deviation: null });
      continue;
    }
    const known = pass.encoded.clean.get(content.pixels);
    const posterior = known ?? (await encode(content.pixels, fit));
    pass.encoded.clean.set(content.pixels, posterior);
    encoded.push(posterior);
  }
  return encoded;

  async function encode(image: Pixels, fit: PassSource['fit']): Promise<Posterior> {
    const { size } = pass.spec;
    const { runSize, shape } = pass;
    // If the networks run at another size, the image is resized first.
    const isAsAsked = runSize.width === size.width && runSize.height === size.height;
    const pixels = isAsAsked
      ? wholeCells(image, model.pack.latent.downscale)
      : resize(image, runSize, 'lanczos');
    const { downscale } = model.pack.latent;
    const cells = { width: pixels.width / downscale, height: pixels.height / downscale };
    const { mean, deviation } = await encodeLatents(run.runtime, model, signedPlanes(pixels));
    const fitted = (data: Float32Array) => fitLatents({ ...shape, ...cells, data }, shape, fit).data;
    return { mean: fitted(mean), deviation: deviation && fitted(deviation) };
  }
}

/** Latents at another size. */
export function fitLatents(latents: Planes, { width, height }: Size, fit: PassSource['fit']): Planes {
  if (latents.width === width && latents.height === height) return latents;
  if (fit === 'stretch')
    return interpolate(latents, { width, height }, { mode: 'bilinear', antialias: false });
  const [across, down] = [latents.width - width, latents.height - height];
  return cropPlanes(latents, {
    left: Math.floor(across / 2),
    top: Math.floor(down / 2),
    right: Math.ceil(across / 2),
    bottom: Math.ceil(down / 2),
  });
}

/** What a VAE sees of an image: what its halvings leave over at the right and below is lost. */
function wholeCells(image: Pixels, cell: number): Pixels {
  const { width, height } = image;
  const [x2, y2] = [width - (width % cell), height - (height % cell)];
  return x2 === width && y2 === height ? image : crop(image, { x1: 0, y1: 0, x2, y2 });
}

/**
 * Latents of each image of a batch, scaled for the UNet: sampled from their distributions.
 * @param noise unit noise, image after image; without it they are the means
 */
export function sampleLatents(
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
