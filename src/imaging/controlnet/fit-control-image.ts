import type { Size } from '#protocol/job.ts';
import { dilate, erode } from '#imaging/opencv/morphology.ts';
import { binariseByOtsu } from '#imaging/opencv/otsu.ts';
import { resizeArea, resizeCubic, resizeNearest } from '#imaging/opencv/resize.ts';
import { paste } from '#imaging/pillow/paste.ts';
import {
  createPixels,
  cropPixels,
  greyToRgb,
  mapSamples,
  toRgbOnWhite,
  type Pixels,
} from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { keepRidges, thinEdges } from './thin.ts';

/** The ControlNet extension's resize modes. */
export type ControlResizeMode = 'Just Resize' | 'Crop and Resize' | 'Resize and Fill';

/**
 * A control image at the size of the generated image. Source: ControlNet extension scripts/controlnet.py,
 * `detectmap_proc`.
 */
export function fitControlImage(image: Pixels, mode: ControlResizeMode, size: Size): Pixels {
  const rgb = toRgbOnWhite(image);
  return place(rgb, mode, size, {
    resize: (target) => resizeControlImage(rgb, target),
    border: () => borderColour(rgb),
  });
}

/**
 * A control image's mask, grey, brought to size like the image: 255 where it is set, and on borders that are added; else 0.
 * @param image as large
 */
export function fitControlMask(mask: Pixels, image: Pixels, mode: ControlResizeMode, size: Size): Pixels {
  const rgb = toRgbOnWhite(image);
  const placed = place(mask, mode, size, {
    resize: (target) =>
      mask.width === target.width && mask.height === target.height
        ? mask
        : chooseResizer(rgb, target)(mask, target),
    border: () => [255],
  });
  return mapSamples(placed, (sample) => (sample > 127 ? 255 : 0));
}

/** Resizes, and cuts or adds borders. */
function place(
  image: Pixels,
  mode: ControlResizeMode,
  size: Size,
  { resize, border }: { resize: (size: Size) => Pixels; border: () => readonly number[] },
): Pixels {
  if (mode === 'Just Resize') return resize(size);
  const factors = [size.height / image.height, size.width / image.width];
  const factor = mode === 'Resize and Fill' ? Math.min(...factors) : Math.max(...factors);
  const resized = resize({
    width: roundHalfToEven(image.width * factor),
    height: roundHalfToEven(image.height * factor),
  });
  const x = Math.max(0, Math.floor(Math.abs(size.width - resized.width) / 2));
  const y = Math.max(0, Math.floor(Math.abs(size.height - resized.height) / 2));
  if (mode === 'Crop and Resize')
    return cropPixels(resized, { x1: x, y1: y, x2: x + size.width, y2: y + size.height });
  return paste(ofColour(size, border()), resized, { x, y });
}

/** Colours from which on a control image counts as continuous. */
const CONTINUOUS = 200;

/** Resizes what a control image may be: lines, segments of few colours, or continuous tones, each so that it stays so. */
function resizeControlImage(rgb: Pixels, size: Size): Pixels {
  if (rgb.width === size.width && rgb.height === size.height) return rgb;
  const colours = countColours(rgb);
  const isBinary = colours === 2 && least(rgb.data) < 16 && most(rgb.data) > 240;
  const resized = resizerFor(colours, rgb, size)(rgb, size);
  if (!isBinary) return resized;
  const grey = meanOfChannels(resized);
  const binary = hasOnePixelEdges(rgb)
    ? thinEdges(binariseByOtsu(keepRidges(grey)), areaOf(size) > areaOf(rgb))
    : binariseByOtsu(grey);
  return greyToRgb(binary);
}

const chooseResizer = (rgb: Pixels, size: Size) => resizerFor(countColours(rgb), rgb, size);

function resizerFor(colours: number, from: Size, to: Size): (image: Pixels, size: Size) => Pixels {
  if (colours > 2 && colours < CONTINUOUS) return resizeNearest;
  return areaOf(to) < areaOf(from) ? resizeArea : resizeCubic;
}

const areaOf = ({ width, height }: Size) => width * height;

/** Whether more than half of the white vanishes when it is shrunk and grown again. */
function hasOnePixelEdges(rgb: Pixels): boolean {
  const opened = dilate(erode(rgb)).data;
  const count = (test: (sample: number, i: number) => boolean) => rgb.data.filter(test).length;
  return count((sample, i) => (opened[i] ?? 0) < sample) * 2 > count((sample) => sample > 127);
}

function countColours({ data }: Pixels): number {
  const colours = new Set<number>();
  for (let i = 0; i < data.length; i += 3) {
    colours.add(((data[i] ?? 0) << 16) | ((data[i + 1] ?? 0) << 8) | (data[i + 2] ?? 0));
  }
  return colours.size;
}

/** Grey, truncated. */
function meanOfChannels(rgb: Pixels): Pixels {
  const grey = createPixels(rgb, 1);
  for (let i = 0; i < grey.data.length; i++) {
    const sum = (rgb.data[i * 3] ?? 0) + (rgb.data[i * 3 + 1] ?? 0) + (rgb.data[i * 3 + 2] ?? 0);
    grey.data[i] = Math.trunc(sum / 3);
  }
  return grey;
}

/** The median of each channel along the border. */
function borderColour({ width, height, data }: Pixels): number[] {
  const row = (y: number) => Array.from({ length: width }, (_, x) => y * width + x);
  const column = (x: number) => Array.from({ length: height }, (_, y) => y * width + x);
  const border = [...row(0), ...row(height - 1), ...column(0), ...column(width - 1)];
  return [0, 1, 2].map((channel) => {
    const samples = border.map((i) => data[i * 3 + channel] ?? 0).sort((a, b) => a - b);
    const [lower = 0, upper = 0] = samples.slice(samples.length / 2 - 1, samples.length / 2 + 1);
    return Math.trunc((lower + upper) / 2);
  });
}

function ofColour(size: Size, colour: readonly number[]): Pixels {
  const image = createPixels(size, colour.length === 1 ? 1 : 3);
  for (let i = 0; i < image.data.length; i += image.channels) image.data.set(colour, i);
  return image;
}

function least(samples: Uint8ClampedArray): number {
  return samples.reduce((a, b) => Math.min(a, b), 255);
}

function most(samples: Uint8ClampedArray): number {
  return samples.reduce((a, b) => Math.max(a, b), 0);
}
