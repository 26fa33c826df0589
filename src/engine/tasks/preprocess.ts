import { makeNetworkMap } from '#engine/stages/control/network-map.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { writeMap } from '#engine/stages/write/write-map.ts';
import type { PreprocessJob } from '#protocol/job.ts';

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * The map that a preprocessor makes of an image by a network.
 * @throws AppError `invalid_request` for files that are not images, and what the preprocessor throws
 */
export const preprocess: Stage<PreprocessJob, void> = async (run, { image, preprocessor }) => {
  await yieldToEvents();
  if (run.stop.cancelled) return;
  const rgb = await readImage(image, BACKGROUND);
  await writeMap(run, { pixels: await makeNetworkMap(run, preprocessor, rgb), role: 'map' });
};
