import { describeImage } from '#engine/stages/describe/describe-image.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { DescribeJob } from '#protocol/job.ts';

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * A text that describes an image that exists already.
 * @throws AppError `invalid_request` for a file that is not an image, and what its stages throw
 */
export const describe: Stage<DescribeJob, void> = async (run, { image, describer }) => {
  const pixels = await readImage(image, BACKGROUND);
  const artifact = await describeImage(run, { describer, pixels });
  // Its progress never says that it is finished: an answer begins with what is known by then, and who described is not.
  if (!run.stop.cancelled) run.emit({ type: 'by-product', artifact });
};
