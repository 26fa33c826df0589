import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { INCLUDED } from '#protocol/included.ts';
import type { SafetyCheck } from '#protocol/safety.ts';
import { isUnsafeByConcepts } from './check-concepts.ts';
import { rateSafety } from './rate-safety.ts';

/** How much more likely an image has to be sexy than pornographic. */
const SEXY_ABOVE = 0.2;

/**
 * Whether an image is not safe for work. nsfwjs gives no limits; these are ours.
 * @throws AppError `model_not_found` where the checker is not installed, and what the runtime throws
 */
export async function isUnsafe(
  run: RunContext,
  { checker, threshold }: SafetyCheck,
  pixels: Pixels,
): Promise<boolean> {
  const pack = findAddOn(run, 'safety-checker', checker);
  if (pack.id !== INCLUDED.safetyChecker.id) return isUnsafeByConcepts(run, pack, pixels);
  const { hentai, porn, sexy } = await rateSafety(run, pixels);
  return hentai + porn > threshold || sexy > threshold + SEXY_ABOVE;
}
