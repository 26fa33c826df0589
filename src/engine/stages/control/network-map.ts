import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { estimateDepth } from '#engine/vision/estimate-depth.ts';
import { findPoses } from '#engine/vision/find-poses.ts';
import { depthMap, normalMap } from '#imaging/controlnet/depth-map.ts';
import { drawPoses, toOpenPose } from '#imaging/controlnet/openpose.ts';
import { resizeWithPad } from '#imaging/controlnet/resize-with-pad.ts';
import { cropPixels, type Pixels } from '#imaging/pixels.ts';
import type { NetworkPreprocessor } from '#protocol/job.ts';

/**
 * The control image that a preprocessor makes by a network, its shorter side at the resolution.
 * @param rgb the image as it comes
 * @throws AppError `model_not_found` for a network that is not installed, and what the runtime throws
 */
export async function makeNetworkMap(
  run: RunContext,
  preprocessor: NetworkPreprocessor,
  rgb: Pixels,
): Promise<Pixels> {
  const { padded, size } = resizeWithPad(rgb, preprocessor.resolution);
  const image = cropPixels(padded, { x1: 0, y1: 0, x2: size.width, y2: size.height });
  if (preprocessor.kind === 'openpose') {
    const bodies = (await findPoses(run, image)).map(toOpenPose);
    if (bodies.every((body) => body.every((point) => point === null)))
      run.note('No person was found for the openpose control image, which is black.');
    return drawPoses(image, bodies);
  }
  const pack = findAddOn(run, 'preprocessor', preprocessor.model);
  const depth = await estimateDepth(run, pack, image);
  return preprocessor.kind === 'depth' ? depthMap(depth) : normalMap(depth, preprocessor.background);
}
