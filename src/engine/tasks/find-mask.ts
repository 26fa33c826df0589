import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { writeMap } from '#engine/stages/write/write-map.ts';
import { findRegions } from '#engine/vision/find-regions.ts';
import { erodeOrDilate } from '#imaging/fooocus/mask.ts';
import { joinMasks } from '#imaging/masks/join-masks.ts';
import type { FindMaskJob } from '#protocol/job.ts';

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * One mask of all that a finder finds in an image.
 * @throws AppError `invalid_request` for files that are not images, and what the finder throws
 */
export const findMask: Stage<FindMaskJob, void> = async (
  run,
  { image, finder, erodeOrDilate: pixels = 0 },
) => {
  await yieldToEvents();
  if (run.stop.cancelled) return;
  const rgb = await readImage(image, BACKGROUND);
  const regions = await findRegions(run, finder, rgb);
  if (regions.length === 0) run.note('Nothing was found in the image.');
  const mask = joinMasks(
    rgb,
    regions.map((region) => region.mask),
  );
  await writeMap(run, { pixels: pixels === 0 ? mask : erodeOrDilate(mask, pixels), role: 'mask' });
};
