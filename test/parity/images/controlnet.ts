import { fitControlImage, type ControlResizeMode } from '#imaging/controlnet/fit-control-image.ts';
import { isPreprocessorName, preprocess } from '#imaging/controlnet/preprocessors.ts';
import { resizeWithPad } from '#imaging/controlnet/resize-with-pad.ts';
import { cropPixels, toRgbOnWhite } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';
import { checkMostPixels, checkPixels, kindRunner, type ImageCase, type KindRunner } from './reference.ts';

interface PreprocessorCase extends ImageCase {
  module: string;
  processor_res: number;
  threshold_a?: number;
  threshold_b?: number;
}

/** Modules whose result is 0 or 255. */
const BINARY = ['canny', 'scribble_xdog', 'threshold'];

/** Share of the pixels of a binary map that may differ. */
const SHARE = 0.005;

interface DetectmapCase extends ImageCase, Size {
  resize_mode: ControlResizeMode;
}

/** Kinds of the ControlNet extension. */
export const controlnetKinds: Readonly<Record<string, KindRunner>> = {
  'controlnet-preprocessors': kindRunner<PreprocessorCase>('controlnet-preprocessors', (reference, files) => {
    const { module, processor_res, threshold_a = 0, threshold_b = 0 } = reference;
    if (!isPreprocessorName(module)) throw new Error(`There is no preprocessor ${module}.`);
    const settings = { resolution: processor_res, thresholdA: threshold_a, thresholdB: threshold_b };
    const map = preprocess(module, files.input('image'), settings);
    const expected = toRgbOnWhite(files.image('result'));
    return [
      BINARY.includes(module)
        ? checkMostPixels('result', map, expected, { by: 0, share: SHARE })
        : checkPixels('result', map, expected, 1),
    ];
  }),
  'controlnet-resize-with-pad': kindRunner<ImageCase & { resolution: number }>(
    'controlnet-resize-with-pad',
    ({ resolution }, files) => {
      const { padded, size } = resizeWithPad(files.input('image'), resolution);
      const cropped = cropPixels(padded, { x1: 0, y1: 0, x2: size.width, y2: size.height });
      return [
        checkPixels('padded', padded, files.image('padded'), 1),
        checkPixels('cropped', cropped, files.image('cropped'), 1),
      ];
    },
  ),
  'controlnet-detectmap': kindRunner<DetectmapCase>('controlnet-detectmap', (reference, files) => {
    const { resize_mode, width, height } = reference;
    const map = fitControlImage(files.input('image'), resize_mode, { width, height });
    const expected = toRgbOnWhite(files.image('result'));
    const isBinary = expected.data.every((sample) => sample === 0 || sample === 255);
    return [
      isBinary
        ? checkMostPixels('result', map, expected, { by: 0, share: SHARE })
        : checkPixels('result', map, expected, 1),
    ];
  }),
};
