import type { Size } from '#protocol/job.ts';
import { channelOf, createPixels, mapSamples, toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { erodeOrDilate } from './mask.ts';
import { resampleImage } from './sizes.ts';

/** What a request says of the mask. */
export interface MaskOptions {
  /** Another mask, of any size, joined with the first: its mean of the channels above 127 is white. */
  upload?: Pixels;
  /** Pixels to grow (positive) or shrink (negative) the mask by. */
  erodeOrDilate: number;
  invert: boolean;
}

/** An image and its mask of the same size; white is generated. */
export interface MaskedImage {
  image: Pixels;
  mask: Pixels;
}

/**
 * RGB and mask of an inpaint request: the mask's first channel, joined with the uploaded mask, grown or shrunk, inverted.
 * Source: Fooocus modules/async_worker.py and Fooocus-API fooocusapi/worker.py, `apply_image_input`.
 */
export function readInpaintInput({ image, mask }: MaskedImage, options: MaskOptions): MaskedImage {
  const first = channelOf(mask, 0);
  const joined = options.upload ? joinMasks(first, resampleImage(toRgb(options.upload), image)) : first;
  return { image: toRgbOnWhite(image), mask: shapeMask(joined, options) };
}

/**
 * The mask of an inpaint request at the size of its image, from an uploaded one of any size: black and white, grown or shrunk,
 * inverted. Source: the same functions; alpha is put on white as Fooocus-API's `HWC3` does.
 */
export function readInpaintMask(
  upload: Pixels,
  { width, height }: Size,
  options: Omit<MaskOptions, 'upload'>,
): Pixels {
  const black = createPixels({ width, height }, 1);
  return shapeMask(joinMasks(black, resampleImage(toRgbOnWhite(upload), black)), options);
}

function shapeMask(mask: Pixels, { erodeOrDilate: pixels, invert }: Omit<MaskOptions, 'upload'>): Pixels {
  const grown = erodeOrDilate(mask, pixels);
  return invert ? mapSamples(grown, (sample) => 255 - sample) : grown;
}

function joinMasks(mask: Pixels, { data: rgb }: Pixels): Pixels {
  const joined = mask.data.slice();
  for (let i = 0; i < joined.length; i++) {
    const sum = (rgb[i * 3] ?? 0) + (rgb[i * 3 + 1] ?? 0) + (rgb[i * 3 + 2] ?? 0);
    if (sum > 3 * 127) joined[i] = 255;
  }
  return { ...mask, data: joined };
}

/** Whether there is anything to inpaint: some of the mask is above 127, or the image grows. */
export function isInpaintTask(mask: Pixels, outpaintSides: number): boolean {
  return outpaintSides > 0 || mask.data.some((sample) => sample > 127);
}

/** Where the refiner takes over when an inpaint task uses the base model again as its refiner. */
const SYNTHETIC_REFINER_SWITCH = 0.8;

/** What inpainting changes about the prompt and the refiner. */
export interface InpaintTask {
  prompt: string;
  refinerSwitch: number;
  /** The base model without the inpaint patch continues from the switch. */
  useSyntheticRefiner: boolean;
}

/**
 * Prompt and refiner of an inpaint task. With the inpaint patch (an engine is chosen) and no refiner, the base model
 * becomes the refiner at 0.8. Source: the same function.
 */
export function planInpaintTask(request: {
  prompt: string;
  additionalPrompt: string;
  refinerSwitch: number;
  hasRefiner: boolean;
  usesPatch: boolean;
}): InpaintTask {
  const { prompt, additionalPrompt, refinerSwitch, hasRefiner, usesPatch } = request;
  const useSyntheticRefiner = usesPatch && !hasRefiner;
  return {
    prompt: [additionalPrompt, prompt].filter((text) => text !== '').join('\n'),
    refinerSwitch: useSyntheticRefiner ? SYNTHETIC_REFINER_SWITCH : refinerSwitch,
    useSyntheticRefiner,
  };
}
