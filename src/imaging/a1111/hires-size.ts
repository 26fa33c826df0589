import type { Margins } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** Pixels on a side of one latent cell. */
const CELL = 8;

/** The settings of hires fix. */
export interface HiresRequest {
  /** Size of the first pass, or, with `firstPass` or `oldBehaviour`, of the result. */
  size: Size;
  /** The factor; used where both sides of `resize` are 0. */
  scale: number;
  /** The size to reach; a side of 0 follows from the other. */
  resize: Size;
  /** `firstphase_width` and `firstphase_height` of old requests: the first pass's size, where one is not 0. */
  firstPass?: Size;
  /** `use_old_hires_fix_width_height`: the first pass is found for a result of `size`. */
  oldBehaviour?: boolean;
}

/** Sizes of a run with hires fix. */
export interface HiresSizes {
  firstPass: Size;
  /** Pixels to which the first pass is upscaled. Latent upscalers floor them to whole cells. */
  upscaleTo: Size;
  /** Latent cells to cut off the upscaled latents on each side. */
  crop: Margins;
  /** Cells of the upscaled latents that are cut, by side. */
  truncate: Size;
}

/**
 * The sizes of hires fix. Sides are floored. If both sides are given, the image covers them and its surplus is
 * cut in latents. Source: A1111 modules/processing.py, `calculate_target_resolution` and `sample_hr_pass`.
 */
export function hiresSizes(request: HiresRequest): HiresSizes {
  const { scale, oldBehaviour = false } = request;
  let { size, resize } = request;
  const given = request.firstPass;
  if (given && (given.width !== 0 || given.height !== 0)) size = given;
  if (oldBehaviour) {
    resize = size;
    size = oldFirstPass(size);
  }
  const upscaleTo = upscaledSize(size, scale, resize);
  const both = resize.width !== 0 && resize.height !== 0;
  const cut = (upscaled: number, wanted: number) => (both ? Math.floor((upscaled - wanted) / CELL) : 0);
  const truncate = {
    width: cut(upscaleTo.width, resize.width),
    height: cut(upscaleTo.height, resize.height),
  };
  return {
    firstPass: size,
    upscaleTo,
    truncate,
    crop: {
      left: Math.floor(truncate.width / 2),
      top: Math.floor(truncate.height / 2),
      right: Math.floor((truncate.width + 1) / 2),
      bottom: Math.floor((truncate.height + 1) / 2),
    },
  };
}

function upscaledSize({ width, height }: Size, scale: number, resize: Size): Size {
  if (resize.width === 0 && resize.height === 0) {
    return { width: Math.trunc(width * scale), height: Math.trunc(height * scale) };
  }
  const byWidth =
    resize.height === 0 || (resize.width !== 0 && width / height < resize.width / resize.height);
  return byWidth
    ? { width: resize.width, height: Math.floor((resize.width * height) / width) }
    : { width: Math.floor((resize.height * width) / height), height: resize.height };
}

/** The first pass's size of webuis before hires fix had a factor: about 512² pixels in multiples of 64. */
function oldFirstPass({ width, height }: Size): Size {
  const scale = Math.sqrt((512 * 512) / (width * height));
  return { width: Math.ceil((scale * width) / 64) * 64, height: Math.ceil((scale * height) / 64) * 64 };
}
