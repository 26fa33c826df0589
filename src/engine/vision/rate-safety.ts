import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { resizeBilinearAligned } from '#imaging/tensorflow/resize-bilinear.ts';
import { INCLUDED } from '#protocol/included.ts';
import { openVisionNetwork } from './open-network.ts';

/** How likely an image is one of five kinds; 1 together. */
export interface SafetyRating {
  /** Safe ones. */
  drawing: number;
  neutral: number;
  /** Pornographic drawings and photographs. */
  hentai: number;
  porn: number;
  /** Explicit, but not pornographic. */
  sexy: number;
}

const SIDE = 224;

/**
 * Rates an image by the network of nsfwjs 4.3, fed as there: stretched to a square.
 * @param pixels of any channels; alpha counts as white
 * @throws AppError `model_not_found` where the network is not installed, and what the runtime throws
 */
export async function rateSafety(run: RunContext, pixels: Pixels): Promise<SafetyRating> {
  const pack = findAddOn(run, INCLUDED.safetyChecker.kind, INCLUDED.safetyChecker.id);
  const session = await openVisionNetwork(run, pack);
  const { data } = resizeBilinearAligned(toRgbOnWhite(pixels), { width: SIDE, height: SIDE });
  const { probabilities } = await session.run({
    image: { type: 'float32', data, dims: [1, 3, SIDE, SIDE] },
  });
  const [drawing = 0, hentai = 0, neutral = 0, porn = 0, sexy = 0] = probabilities?.data ?? [];
  return { drawing, hentai, neutral, porn, sexy };
}
