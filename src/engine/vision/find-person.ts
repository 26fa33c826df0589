import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { toPlanes } from '#engine/stages/pixels/tiles.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import { INCLUDED } from '#protocol/included.ts';
import { openVisionNetwork } from './open-network.ts';
import { viewSquare } from './square-view.ts';

const SIDE = 256;

/**
 * Where people near the camera are. The image is stretched to a square, as in MediaPipe's selfie segmentation.
 * @param pixels of any channels; alpha counts as white
 * @returns one channel, 0 … 1, as large as the image
 * @throws AppError `model_not_found` where the network is not installed, and what the runtime throws
 */
export async function findPerson(run: RunContext, pixels: Pixels): Promise<Planes> {
  const pack = findAddOn(run, INCLUDED.personMask.kind, INCLUDED.personMask.id);
  const session = await openVisionNetwork(run, pack);
  const square = resize(toRgbOnWhite(pixels), { width: SIDE, height: SIDE }, 'bilinear');
  const { data } = viewSquare(square, { left: 0, top: 0, right: SIDE, bottom: SIDE }, SIDE);
  const { mask } = await session.run({ image: { type: 'float32', data, dims: [1, 3, SIDE, SIDE] } });
  const { width, height } = pixels;
  return interpolate(
    toPlanes(mask, 'person mask'),
    { width, height },
    { mode: 'bilinear', antialias: false },
  );
}
