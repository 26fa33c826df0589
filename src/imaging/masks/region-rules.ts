import { dilateBySquare, erodeBySquare } from '#imaging/opencv/square-morphology.ts';
import { invert } from '#imaging/pillow/convert.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { RegionRules, Size } from '#protocol/job.ts';
import type { Box } from './box.ts';

/** Something that was found in an image. */
interface Found {
  box: Box;
  /** 0 … 1. */
  score: number;
  /** Grey, as large as the image. */
  mask: Pixels;
}

/**
 * The masks of the regions that rules choose, changed as they say. Source: ADetailer, adetailer/mask.py, `filter_by_ratio`,
 * `filter_k_by` and `mask_preprocess`.
 * @returns none that is black everywhere
 */
export function regionMasks(found: readonly Found[], rules: RegionRules, image: Size): Pixels[] {
  const { offset, grow } = rules;
  const masks = chooseRegions(found, rules, image)
    .map(({ mask }) => (offset.x === 0 && offset.y === 0 ? mask : moveAround(mask, offset.x, -offset.y)))
    .map((mask) => growMask(mask, grow));
  return merge(masks.filter(isSeen), rules.merge).filter(isSeen);
}

function chooseRegions(found: readonly Found[], rules: RegionRules, image: Size): readonly Found[] {
  const { minScore, minShare, maxShare, most } = rules;
  const shareOf = ({ box }: Found) =>
    ((box.right - box.left) * (box.bottom - box.top)) / (image.width * image.height);
  const fitting = found.filter((region) => {
    const share = shareOf(region);
    return region.score >= minScore && share >= minShare && share <= maxShare;
  });
  if (!most) return fitting;
  const rank = most.by === 'area' ? shareOf : ({ score }: Found) => score;
  return fitting.toSorted((a, b) => rank(b) - rank(a)).slice(0, most.count);
}

/** Pillow's `ImageChops.offset`: what leaves the image comes in at the other side. */
function moveAround({ width, height, data }: Pixels, right: number, down: number): Pixels {
  const moved = createPixels({ width, height }, 1);
  const wrap = (place: number, side: number) => ((place % side) + side) % side;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      moved.data[wrap(y + down, height) * width + wrap(x + right, width)] = data[y * width + x] ?? 0;
    }
  }
  return moved;
}

function growMask(mask: Pixels, side: number): Pixels {
  if (side === 0) return mask;
  return side > 0 ? dilateBySquare(mask, side) : erodeBySquare(mask, -side);
}

function merge(masks: readonly Pixels[], mode: RegionRules['merge']): Pixels[] {
  const [first, ...others] = masks;
  if (!first || mode === 'none') return [...masks];
  const merged = { ...first, data: first.data.slice() };
  for (const { data } of others) {
    // As ADetailer: bit by bit, which is the larger one where masks are black and white.
    for (let i = 0; i < data.length; i++) merged.data[i] = (merged.data[i] ?? 0) | (data[i] ?? 0);
  }
  return [mode === 'merge' ? merged : invert(merged)];
}

function isSeen({ data }: Pixels): boolean {
  return data.some((value) => value > 0);
}
