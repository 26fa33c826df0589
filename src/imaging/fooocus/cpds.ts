import { decolor } from '#imaging/opencv/decolor.ts';
import { gaussianBlur, kernelOfSigma } from '#imaging/opencv/gaussian-blur.ts';
import { createFloatPixels, type Pixels } from '#imaging/pixels.ts';
import { spreadPercentiles } from './normalise.ts';

const SIGMA = 0.8;

/**
 * Fooocus's CPDS (contrast-preserving decolorization structure): a grey image that keeps the contrasts of colours. Source:
 * Fooocus extras/preprocessors.py, `cpds`.
 */
export function cpds(rgb: Pixels): Pixels {
  const blurred = gaussianBlur(rgb, kernelOfSigma(SIGMA, '8-bit'));
  const { grey, boosted } = decolor(blurred);
  const structure = createFloatPixels(rgb, 1);
  for (let i = 0; i < structure.data.length; i++) {
    const offset = [0, 1, 2].map((channel) => {
      const at = i * 3 + channel;
      return (blurred.data[at] ?? 0) - (boosted.data[at] ?? 0);
    });
    structure.data[i] = (grey.data[i] ?? 0) + Math.hypot(...offset);
  }
  return spreadPercentiles(structure, 4, 96);
}
