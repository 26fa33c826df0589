import { matchHistograms } from '#imaging/match-histograms.ts';
import { labToRgb, rgbToLab } from '#imaging/opencv/lab.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';

/**
 * Gives an image the colours of another: its Lab channels are distributed as the target's, its own luminosity stays.
 * Source: A1111 modules/processing.py, `setup_color_correction`, `apply_color_correction`.
 * @param image RGB
 * @param target RGB, of any size
 */
export function applyColorCorrection(image: Pixels, target: Pixels): Pixels {
  return setLuminosity(labToRgb(matchHistograms(rgbToLab(image), rgbToLab(target))), image);
}

/**
 * The colours of an image with the luminosity of another. Source: the blend mode Luminosity of the W3C's Compositing and
 * Blending, as the Python package blendmodes has it, results truncated to 8 bits.
 */
function setLuminosity(colours: Pixels, luminous: Pixels): Pixels {
  const result = createPixels(colours, 3);
  for (let i = 0; i < result.data.length; i += 3) {
    const shift = luminosity(luminous.data, i) - luminosity(colours.data, i);
    const shifted = [0, 1, 2].map((channel) => (colours.data[i + channel] ?? 0) / 255 + shift);
    for (const [channel, value] of clipColour(shifted, luminosity(luminous.data, i)).entries()) {
      result.data[i + channel] = Math.trunc(Math.min(Math.max(value, 0), 1) * 255);
    }
  }
  return result;
}

function luminosity(data: Uint8ClampedArray, pixel: number): number {
  return (0.299 * (data[pixel] ?? 0) + 0.587 * (data[pixel + 1] ?? 0) + 0.114 * (data[pixel + 2] ?? 0)) / 255;
}

/** Moves a colour towards its grey until it is in 0…1. */
function clipColour(colour: readonly number[], grey: number): readonly number[] {
  const [lowest, highest] = [Math.min(...colour), Math.max(...colour)];
  let clipped = colour;
  if (lowest < 0) clipped = clipped.map((value) => grey + ((value - grey) * grey) / (grey - lowest));
  if (highest > 1) clipped = clipped.map((value) => grey + ((value - grey) * (1 - grey)) / (highest - grey));
  return clipped;
}
