import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { isUnsafe } from '#engine/vision/check-safety.ts';
import { hideImage } from '#imaging/safety/hide-image.ts';
import type { SafetyStep } from '#protocol/job.ts';
import type { PreparedStep } from './post.ts';

/**
 * Prepares a look at finished images: what is not safe for work is hidden, and each is reported as the one or the other.
 * @throws AppError `model_not_found` for a safety checker that is not installed; the step what the runtime throws
 */
export function prepareSafety(run: RunContext, step: SafetyStep): PreparedStep {
  findAddOn(run, 'safety-checker', step.checker);
  return async (context, { pixels, index }) => {
    const unsafe = await isUnsafe(context, step, pixels);
    context.emit({ type: 'by-product', artifact: { kind: 'rating', of: index, unsafe } });
    return unsafe ? hideImage(pixels, step.action) : pixels;
  };
}
