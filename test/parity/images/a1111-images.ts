import { applyColorCorrection } from '#imaging/a1111/color-correction.ts';
import { createBinaryMask, fillMasked } from '#imaging/a1111/mask.ts';
import { flatten, resizeImage, resizeImageWith, type Upscaler } from '#imaging/a1111/resize.ts';
import { filterUpscalers, isFilterUpscaler, upscalerOf } from '#imaging/a1111/upscaler.ts';
import { rgbToLab } from '#imaging/opencv/lab.ts';
import { checkMostPixels, checkPixels, kindRunner, type ImageCase, type KindRunner } from './reference.ts';

interface ResizeCase extends ImageCase {
  resize_mode?: 0 | 1 | 2;
  width: number;
  height: number;
  upscaler: string | null;
  background?: string;
}

interface UpscalerCase extends ImageCase {
  upscaler: string;
  scale: number;
}

/** The upscaler of a name; null for `None`, plain Lanczos. One that is not known does nothing, as in the webui. */
export function upscalerNamed(name: string | null): Upscaler | null {
  if (name === null || name === 'None') return null;
  return upscalerOf(isFilterUpscaler(name) ? filterUpscalers[name] : filterUpscalers.None);
}

/** `#rrggbb`. */
export function readColour(text: string): [number, number, number] {
  const number = Number.parseInt(text.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** Lab and histograms in 8 bits: 3 of 255 on 99 % of the pixels. */
export const COLOUR_TOLERANCE = { by: 3, share: 0.01 };

/** Kinds that are an image from an image. */
export const a1111ImageKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-resize': kindRunner<ResizeCase>('a1111-resize', async (reference, files) => {
    const { resize_mode: mode } = reference;
    const upscaler = upscalerNamed(reference.upscaler);
    const image = files.input('image');
    if (mode === undefined) {
      const flat = flatten(image, readColour(reference.background ?? ''));
      return [checkPixels('result', flat, files.image('result'), 1)];
    }
    const resized =
      upscaler === null
        ? resizeImage(mode, image, reference)
        : await resizeImageWith(upscaler, mode, image, reference);
    return [checkPixels('result', resized, files.image('result'), 1)];
  }),
  'a1111-upscaler': kindRunner<UpscalerCase>('a1111-upscaler', async ({ upscaler, scale }, files) => {
    const image = files.input('image');
    const upscaled = (await upscalerNamed(upscaler)?.(image, scale)) ?? image;
    return [checkPixels('result', upscaled, files.image('result'), 1)];
  }),
  'a1111-binary-mask': kindRunner<ImageCase & { round: boolean }>('a1111-binary-mask', ({ round }, files) => [
    checkPixels('result', createBinaryMask(files.input('mask'), round), files.image('result'), 0),
  ]),
  'a1111-color-correction': kindRunner('a1111-color-correction', (_, files) => {
    const target = files.input('target');
    const corrected = applyColorCorrection(files.input('image'), target);
    return [
      checkMostPixels('target_lab', rgbToLab(target), files.image('target_lab'), COLOUR_TOLERANCE),
      checkMostPixels('result', corrected, files.image('result'), COLOUR_TOLERANCE),
    ];
  }),
  'a1111-fill': kindRunner('a1111-fill', (_, files) => [
    checkPixels('result', fillMasked(files.input('image'), files.input('mask')), files.image('result'), 2),
  ]),
};
