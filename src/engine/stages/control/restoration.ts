import type { LoadedModel } from '#engine/models/model.ts';
import { outputReader, type ReadOutput } from '#engine/stages/denoise/prediction.ts';
import type { FinishedImage } from '#engine/stages/init/prepared.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { keepAround, maskedCells } from '#imaging/controlnet/inpaint-only.ts';
import { mapSamples, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';

/** What a ControlNet's own image shows around its mask, which stays. */
export interface Restoration {
  /** RGB at the size of the pass, and its mask, grey: 255 where it is generated. */
  image: Pixels;
  mask: Pixels;
  /** Of the image, scaled for the UNet. */
  latents: Float32Array;
  /** Of each latent cell: 1 where it is generated, 0 where what was there is put back. */
  cells: Float32Array;
  /** 0 … 1: how much of it is put back in each step. */
  weight: number;
  readOutput: ReadOutput;
}

/** The means of an image's latents at the VAE's own scale. */
export type EncodeMeans = (planes: Planes) => Promise<Float32Array>;

/**
 * Prepares what `inpaint_only` puts back. Source: ControlNet extension, scripts/hook.py, "Post-processing for restore"; it takes
 * latents drawn from the VAE's distribution, here they are its means.
 */
export async function prepareRestoration(
  { noiseModel, pack, scalingFactor }: LoadedModel,
  { image, mask }: { image: Pixels; mask: Pixels },
  strength: number,
  encode: EncodeMeans,
): Promise<Restoration> {
  return {
    image,
    mask,
    latents: (await encode(signedPlanes(image))).map((value) => value * scalingFactor),
    cells: maskedCells(mask, pack.latent.downscale),
    weight: Math.min(1, Math.max(0, strength)),
    readOutput: outputReader(noiseModel),
  };
}

/** A network's output for a sample as if it had seen what is around the mask. */
export function restoreOutput(
  { latents, cells, weight, readOutput }: Restoration,
  sample: Float32Array,
  output: Float32Array,
  timestep: number,
): Float32Array {
  const { image, weights } = readOutput(sample, output, timestep);
  return output.map((value, i) => {
    const share = weight * (1 - (cells[i % cells.length] ?? 1));
    return value + share * weights.image * ((latents[i] ?? 0) - (image[i] ?? 0));
  });
}

/** Finished images with what the ControlNets of their pass put back. */
export function restoreAround(
  images: readonly FinishedImage[],
  controls: readonly { restoration?: Restoration | undefined }[],
): FinishedImage[] {
  const restorations = controls.flatMap(({ restoration }) => restoration ?? []);
  return images.map((finished) =>
    restorations.reduce(({ image, ...rest }, { image: around, mask }) => {
      // Models of one size are brought to the size of their pass after they have run.
      const fitted = resizeImage(0, around, image);
      const fittedMask = mapSamples(resizeImage(0, mask, image), (sample) => (sample > 127 ? 255 : 0));
      return { ...rest, image: keepAround(image, fitted, fittedMask) };
    }, finished),
  );
}
