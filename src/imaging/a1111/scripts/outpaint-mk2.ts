import { createPixels, type Margins, type Pixels, type Region } from '#imaging/pixels.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { crop, paste, type Place } from '#imaging/pillow/paste.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import { fillRectangle } from './fill-rectangle.ts';
import { matchedNoise } from './matched-noise.ts';
import { outpaintMargins, type OutpaintDirection } from './outpaint-size.ts';

/** The settings of outpainting mk2. */
export interface OutpaintMk2Request {
  pixels: number;
  maskBlur: number;
  directions: readonly OutpaintDirection[];
  /** How fast the noise falls off with its frequency: `noise_q`, 1 by default. */
  noiseExponent: number;
  /** 0…1; 0.05 by default. */
  colourVariation: number;
  /** The largest size of one generation. */
  process: Size;
}

/** Sides to outpaint, in their order, with the pixels for each. The result of each is what the next starts from. */
export interface OutpaintMk2Plan {
  steps: readonly { direction: OutpaintDirection; pixels: number }[];
  request: OutpaintMk2Request;
}

/** One inpainting of an expansion; the mask's blur is four times the request's. Masked content is `original`. */
export interface OutpaintMk2Run {
  /** Init image: the old one, and noise like it where it is expanded. */
  image: Pixels;
  mask: Pixels;
  /** The mask for the latents. */
  latentMask: Pixels;
  maskBlur: { x: number; y: number };
  /** The whole expanded image, which contains `image`, and where that is pasted back. */
  expanded: Pixels;
  place: Place;
  /** Of the expanded image, once it is cropped from multiples of 64. */
  size: Size;
}

/** Which sides are expanded by how much. Source: A1111 scripts/outpainting_mk_2.py, `run`. */
export function planOutpaintMk2(image: Size, request: OutpaintMk2Request): OutpaintMk2Plan {
  const { margins } = outpaintMargins(image, request.pixels, request.directions);
  const all: readonly (readonly [OutpaintDirection, keyof Margins])[] = [
    ['left', 'left'],
    ['right', 'right'],
    ['up', 'top'],
    ['down', 'bottom'],
  ];
  const steps = all.flatMap(([direction, side]) =>
    margins[side] > 0 ? [{ direction, pixels: margins[side] }] : [],
  );
  return { steps, request };
}

/**
 * Prepares the inpainting of one step of a plan. Images of a batch are prepared one by one; they share a run.
 * Source: A1111 scripts/outpainting_mk_2.py, `expand`.
 * @param image RGB: the init image, or the result of the step before
 * @throws AppError `invalid_request` where the expansion and its blur leave nothing of the image in the processed size
 */
export function prepareOutpaintMk2(
  image: Pixels,
  step: OutpaintMk2Plan['steps'][number],
  { steps, request }: OutpaintMk2Plan,
): OutpaintMk2Run {
  const { direction, pixels } = step;
  const across = direction === 'left' || direction === 'right';
  const before = direction === 'left' || direction === 'up';
  const blurs = (names: readonly OutpaintDirection[]) =>
    steps.some((other) => names.includes(other.direction)) ? request.maskBlur : 0;
  const blur = { x: blurs(['left', 'right']), y: blurs(['up', 'down']) };
  const size = {
    width: image.width + (across ? pixels : 0),
    height: image.height + (across ? 0 : pixels),
  };
  const padded = { width: Math.ceil(size.width / 64) * 64, height: Math.ceil(size.height / 64) * 64 };
  const corner = { x: direction === 'left' ? pixels : 0, y: direction === 'up' ? pixels : 0 };
  const inset = pixels + (across ? blur.x : blur.y);
  const mask = keep(createPixels(padded, 1, 255), direction, inset, size);
  const canvas = paste(createPixels(padded, 3), toRgb(image), corner);
  const expanded = matchedNoise(canvas, mask, request.noiseExponent, request.colourVariation);

  const generated = {
    width: across ? Math.min(request.process.width, size.width) : padded.width,
    height: across ? padded.height : Math.min(request.process.height, size.height),
  };
  const place = {
    x: before && across ? 0 : padded.width - generated.width,
    y: before && !across ? 0 : padded.height - generated.height,
  };
  const region = {
    x1: place.x,
    y1: place.y,
    x2: place.x + generated.width,
    y2: place.y + generated.height,
  };
  const latentInset = pixels + 2 * (across ? blur.x : blur.y);
  return {
    image: crop(expanded, region),
    mask: crop(mask, region),
    latentMask: keep(createPixels(generated, 1, 255), direction, latentInset, size),
    maskBlur: { x: blur.x * 4, y: blur.y * 4 },
    expanded,
    place,
    size,
  };
}

/** The image of a step: its inpainted part pasted back, and cropped to size. */
export function finishOutpaintMk2({ expanded, place, size }: OutpaintMk2Run, generated: Pixels): Pixels {
  const whole = paste(expanded, toRgb(generated), place);
  return crop(whole, { x1: 0, y1: 0, x2: size.width, y2: size.height });
}

/** Makes a mask black except for `inset` pixels on the expanded side. */
function keep(mask: Pixels, direction: OutpaintDirection, inset: number, size: Size): Pixels {
  const kept: Region = {
    x1: direction === 'left' ? inset : 0,
    y1: direction === 'up' ? inset : 0,
    x2: direction === 'right' ? mask.width - inset : size.width,
    y2: direction === 'down' ? mask.height - inset : size.height,
  };
  if (kept.x2 < kept.x1 || kept.y2 < kept.y1) {
    throw new AppError(
      'invalid_request',
      `An expansion by ${inset} pixels, blur included, does not fit into ${mask.width}×${mask.height}. Make the width and height larger, or expand by less.`,
    );
  }
  return fillRectangle(mask, 0, kept);
}
