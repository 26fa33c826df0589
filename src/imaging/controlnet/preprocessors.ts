import { gaussianBlur, kernelOfSigma } from '#imaging/opencv/gaussian-blur.ts';
import { cropPixels, mapSamples, toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { cannyLines, standardLineart, xdogScribble } from './lines.ts';
import { resizeWithPad } from './resize-with-pad.ts';
import { colourGrid, recolorIntensity, recolorLuminance, thresholdTones, tileResample } from './tones.ts';

/** What a request sets of a preprocessor. */
export interface PreprocessorSettings {
  /** Shorter side, in pixels, of what some preprocessors look at. */
  resolution: number;
  thresholdA: number;
  thresholdB: number;
}

/** Makes a control image, RGB, of an RGB image. */
type Preprocess = (rgb: Pixels, settings: PreprocessorSettings) => Pixels;

/**
 * The preprocessors that need no model, by their names in the ControlNet extension's API. Source: ControlNet extension
 * scripts/preprocessor/model_free_preprocessors.py and legacy/processor.py.
 */
const preprocessors = {
  canny: atResolution((rgb, { thresholdA, thresholdB }) => cannyLines(rgb, [thresholdA, thresholdB])),
  scribble_xdog: atResolution((rgb, { thresholdA }) => xdogScribble(rgb, thresholdA)),
  lineart_standard: atResolution(standardLineart),
  threshold: atResolution((rgb, { thresholdA }) => thresholdTones(rgb, thresholdA)),
  blur_gaussian(rgb, { resolution, thresholdA }) {
    const { padded, size } = resizeWithPad(rgb, resolution);
    const resized = cropPixels(padded, { x1: 0, y1: 0, x2: size.width, y2: size.height });
    return gaussianBlur(resized, kernelOfSigma(thresholdA, '8-bit'));
  },
  invert: (rgb) => mapSamples(rgb, (sample) => 255 - sample),
  tile_resample: (rgb, { thresholdA }) => tileResample(rgb, thresholdA),
  t2ia_color_grid: (rgb, { resolution }) => colourGrid(rgb, resolution),
  recolor_luminance: (rgb, { thresholdA }) => recolorLuminance(rgb, thresholdA),
  recolor_intensity: (rgb, { thresholdA }) => recolorIntensity(rgb, thresholdA),
} satisfies Record<string, Preprocess>;

/** Name of a preprocessor without a model. */
export type PreprocessorName = keyof typeof preprocessors;

/** Whether a name is that of a preprocessor without a model. */
export function isPreprocessorName(name: string): name is PreprocessorName {
  return Object.hasOwn(preprocessors, name);
}

/** Makes a control image of an image, which is put on white if it has alpha. */
export function preprocess(name: PreprocessorName, image: Pixels, settings: PreprocessorSettings): Pixels {
  return preprocessors[name](toRgbOnWhite(image), settings);
}

/** Looks at the image at the settings' resolution, padded; the padding is cut off the result. */
function atResolution(run: Preprocess): Preprocess {
  return (rgb, settings) => {
    const { padded, size } = resizeWithPad(rgb, settings.resolution);
    return cropPixels(run(padded, settings), { x1: 0, y1: 0, x2: size.width, y2: size.height });
  };
}
