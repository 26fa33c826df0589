import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import type { Pixels, Region } from '#imaging/pixels.ts';

/** How much larger the first square is than the mask. */
const MARGIN = 1.15;

/**
 * The square around the white (not black) of a mask, 15 % larger, as far as it is inside. Source: Fooocus
 * modules/inpaint_worker.py, `compute_initial_abcd`.
 * @throws AppError `invalid_request` when the mask is black
 */
export function findMaskRegion(mask: Pixels): Region {
  const { width, height } = mask;
  const rows: number[] = [];
  const columns: number[] = [];
  mask.data.forEach((sample, i) => {
    if (sample === 0) return;
    rows[Math.floor(i / width)] = 1;
    columns[i % width] = 1;
  });
  if (rows.length === 0) {
    throw new AppError('invalid_request', 'The mask is black everywhere. Make the area to inpaint white.');
  }
  const [top, bottom] = [rows.indexOf(1), rows.length - 1];
  const [left, right] = [columns.indexOf(1), columns.length - 1];
  const centreY = Math.floor((bottom + top) / 2);
  const centreX = Math.floor((right + left) / 2);
  const longer = Math.max(Math.floor((bottom - top) / 2), Math.floor((right - left) / 2));
  const half = Math.trunc(longer * MARGIN);
  return clampRegion(
    { x1: centreX - half, y1: centreY - half, x2: centreX + half + 1, y2: centreY + half + 1 },
    { width, height },
  );
}

/**
 * The region grown pixel by pixel, the shorter side first, until each of its sides is at least `share` of the image's.
 * Source: Fooocus modules/inpaint_worker.py, `solve_abcd`.
 * @param share Fooocus's "inpaint respective field", 0…1
 */
export function growRegion(region: Region, { width, height }: Size, share: number): Region {
  if (share === 1) return { x1: 0, y1: 0, x2: width, y2: height };
  let grown = region;
  for (;;) {
    const [inWidth, inHeight] = [grown.x2 - grown.x1, grown.y2 - grown.y1];
    if (inHeight >= height * share && inWidth >= width * share) return grown;
    const isWide = inHeight < inWidth;
    const growsHigh = isWide || inWidth === width ? 1 : 0;
    const growsWide = !isWide || inHeight === height ? 1 : 0;
    grown = clampRegion(
      {
        x1: grown.x1 - growsWide,
        y1: grown.y1 - growsHigh,
        x2: grown.x2 + growsWide,
        y2: grown.y2 + growsHigh,
      },
      { width, height },
    );
  }
}

function clampRegion({ x1, y1, x2, y2 }: Region, { width, height }: Size): Region {
  const clamp = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  return { x1: clamp(x1, width), y1: clamp(y1, height), x2: clamp(x2, width), y2: clamp(y2, height) };
}
