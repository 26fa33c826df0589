import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import { toGrey } from '#imaging/pillow/convert.ts';
import type { Pixels, Region } from '#imaging/pixels.ts';

/**
 * The region around what is not black in a mask, with padding, widened to the aspect of the processing size as far as
 * the image goes. Source: diffusers src/diffusers/image_processor.py, `get_crop_region`, which returns a reversed region
 * for a black mask.
 * @throws AppError `invalid_request` when the mask is black
 */
export function getCropRegion(mask: Pixels, processing: Size, padding: number): Region {
  const { width, height } = mask;
  const box = boundsOf(toGrey(mask));
  const padded = {
    x1: Math.max(box.x1 - padding, 0),
    y1: Math.max(box.y1 - padding, 0),
    x2: Math.min(box.x2 + padding, width),
    y2: Math.min(box.y2 + padding, height),
  };
  const ratio = processing.width / processing.height;
  const [ownWidth, ownHeight] = [padded.x2 - padded.x1, padded.y2 - padded.y1];
  if (ownWidth / ownHeight > ratio) {
    const [y1, y2] = widen([padded.y1, padded.y2], Math.trunc(ownWidth / ratio - ownHeight), height);
    return { ...padded, y1, y2 };
  }
  const [x1, x2] = widen([padded.x1, padded.x2], Math.trunc(ownHeight * ratio - ownWidth), width);
  return { ...padded, x1, x2 };
}

/** Adds to both ends of a range, moves it inside of 0…length, and cuts what is still outside. */
function widen([start, end]: readonly [number, number], by: number, length: number): [number, number] {
  let first = start - Math.floor(by / 2);
  let last = end + by - Math.floor(by / 2);
  if (last >= length) {
    first -= last - length;
    last = length;
  }
  if (first < 0) {
    last -= first;
    first = 0;
  }
  return [first, Math.min(last, length)];
}

function boundsOf({ width, height, data }: Pixels): Region {
  const bounds = { x1: width, y1: height, x2: 0, y2: 0 };
  for (const [i, sample] of data.entries()) {
    if (sample === 0) continue;
    const x = i % width;
    const y = (i - x) / width;
    bounds.x1 = Math.min(bounds.x1, x);
    bounds.y1 = Math.min(bounds.y1, y);
    bounds.x2 = Math.max(bounds.x2, x + 1);
    bounds.y2 = Math.max(bounds.y2, y + 1);
  }
  if (bounds.x2 === 0) {
    throw new AppError(
      'invalid_request',
      'The mask is black everywhere, so there is no region to crop. Make the area to inpaint white.',
    );
  }
  return bounds;
}
