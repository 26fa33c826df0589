import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { isUnsafe } from '#engine/vision/check-safety.ts';
import type { CheckSafetyJob } from '#protocol/job.ts';

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * Whether an image that exists already is safe for work.
 * @throws AppError `invalid_request` for a file that is not an image, and what its stages throw
 */
export const checkSafety: Stage<CheckSafetyJob, void> = async (run, { image, check }) => {
  const unsafe = await isUnsafe(run, check, await readImage(image, BACKGROUND));
  run.emit({ type: 'by-product', artifact: { kind: 'rating', of: null, unsafe } });
  run.progress.finished();
};
