import { createPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import { gaussianBlur } from '#imaging/pillow/blur.ts';
import { toGrey } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import type { Planes } from '#imaging/planes.ts';
import type { Size, SoftInpainting } from '#protocol/job.ts';
import { gaussianKernel, weightedHistogramFilter } from './histogram-filter.ts';
import { resizeImage } from './resize.ts';

/**
 * The mask of the latents for a noise level: partly masked areas are generated more as the noise falls.
 * Source: A1111 extensions-builtin/soft-inpainting, `get_modified_nmask`.
 * @param mask 1 where the image is generated … 0 where it stays
 */
export function softMask(mask: Planes, settings: SoftInpainting, sigma: number): Planes {
  const power = sigma ** settings.scheduleBias * settings.preservationStrength;
  return { ...mask, data: mask.data.map((share) => share ** power) };
}

/**
 * Blends latents by a mask. Their lengths are blended apart from their directions, so that contrast stays.
 * Source: soft-inpainting, `latent_blend`.
 * @param mask one plane, for every channel
 */
export function softBlend(kept: Planes, generated: Planes, mask: Planes, settings: SoftInpainting): Planes {
  const { channels, height, width } = kept;
  const area = height * width;
  const power = settings.transitionContrastBoost;
  const data = new Float32Array(kept.data.length);
  for (let cell = 0; cell < area; cell++) {
    const share = mask.data[cell] ?? 0;
    const scale =
      (lengthAt(kept, cell) ** power * (1 - share) + lengthAt(generated, cell) ** power * share) **
      (1 / power);
    for (let i = cell; i < channels * area; i += area) {
      data[i] = (kept.data[i] ?? 0) * (1 - share) + (generated.data[i] ?? 0) * share;
    }
    const length = lengthAt({ ...kept, data }, cell) + 0.00001;
    for (let i = cell; i < channels * area; i += area) data[i] = ((data[i] ?? 0) * scale) / length;
  }
  return { channels, height, width, data };
}

function lengthAt({ channels, height, width, data }: Planes, cell: number): number {
  const area = height * width;
  let squares = 0;
  for (let i = cell; i < channels * area; i += area) squares += (data[i] ?? 0) ** 2;
  return Math.sqrt(squares);
}

/** The inputs of an adaptive mask. */
export interface AdaptiveMaskRequest {
  /** One plane: 1 where the image was generated … 0 where it stayed. */
  mask: Planes;
  /** Latents before and after. */
  original: Planes;
  processed: Planes;
  /** Of the generated image. */
  size: Size;
  /** Where in the init image of a size it belongs; null for all of it. */
  pasteTo: { region: Region; image: Size } | null;
}

/**
 * The grey mask of what is seen of a generated image: where its latents changed much. Instead of the webui's own; the
 * overlay is cut out by it (`cutOut`). Source: soft-inpainting, `apply_adaptive_masks`.
 */
export function adaptiveMask(request: AdaptiveMaskRequest, settings: SoftInpainting): Pixels {
  const { mask, original, processed, size, pasteTo } = request;
  const { height, width } = mask;
  const changes = { ...original, data: original.data.map((value, i) => (processed.data[i] ?? 0) - value) };
  const distances = Float64Array.from({ length: height * width }, (_, cell) => lengthAt(changes, cell));
  const kernel = gaussianKernel(1.5, 2);
  const peaks = weightedHistogramFilter({ width, height, data: distances }, kernel, [0.9, 1]);
  const smooth = weightedHistogramFilter({ width, height, data: peaks }, kernel, [0.25, 0.75]);
  const cells = createPixels(mask, 1);
  smooth.forEach((distance, cell) => {
    const half = settings.differenceThreshold * tolerance(mask.data[cell] ?? 0, settings);
    const kept = 1 / (1 + (distance / half) ** settings.differenceContrast);
    cells.data[cell] = Math.trunc(255 * (1 - smootherStep(kept)));
  });
  const resized = toGrey(resizeImage(2, cells, size));
  const blurred = gaussianBlur(resized, 4);
  if (!pasteTo) return blurred;
  const { region, image } = pasteTo;
  const fitted = toGrey(
    resizeImage(1, blurred, { width: region.x2 - region.x1, height: region.y2 - region.y1 }),
  );
  return paste(createPixels(image, 1), fitted, { x: region.x1, y: region.y1 });
}

/** How much a cell may change, as a factor of the threshold. */
function tolerance(share: number, { preservationStrength, maskInfluence }: SoftInpainting): number {
  const masked = 1 - Math.min(Math.max(share, 0), 1) ** (preservationStrength / 2);
  const weighed = 0.5 * (1 - maskInfluence) + masked * maskInfluence;
  return weighed / (1.00001 - weighed);
}

function smootherStep(x: number): number {
  return x * x * x * (x * (6 * x - 15) + 10);
}
