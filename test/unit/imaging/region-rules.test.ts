import { describe, expect, it } from 'vitest';
import { boxMask, type Box } from '#imaging/masks/box.ts';
import { regionMasks } from '#imaging/masks/region-rules.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { RegionRules } from '#protocol/job.ts';

const IMAGE = { width: 40, height: 30 };

const RULES: RegionRules = {
  minScore: 0.3,
  minShare: 0,
  maxShare: 1,
  offset: { x: 0, y: 0 },
  grow: 0,
  merge: 'none',
};

const found = (score: number, box: Box) => ({ score, box, mask: boxMask(IMAGE, box) });

const small = found(0.9, { left: 2, top: 2, right: 6, bottom: 6 });
const large = found(0.5, { left: 10, top: 5, right: 30, bottom: 25 });
const unsure = found(0.2, { left: 32, top: 2, right: 38, bottom: 8 });

/** Where a mask is white. */
function boundsOf({ width, data }: Pixels): Box {
  const xs: number[] = [];
  const ys: number[] = [];
  data.forEach((value, i) => {
    if (value === 0) return;
    xs.push(i % width);
    ys.push(Math.floor(i / width));
  });
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs) + 1,
    bottom: Math.max(...ys) + 1,
  };
}

const choose = (changes: Partial<RegionRules>) =>
  regionMasks([small, large, unsure], { ...RULES, ...changes }, IMAGE).map(boundsOf);

describe('regions', () => {
  it.each<[string, Partial<RegionRules>, readonly Box[]]>([
    ['are those that are certain enough', {}, [small.box, large.box]],
    ['are those that are large enough', { minShare: 0.1 }, [large.box]],
    ['are those that are small enough', { maxShare: 0.1 }, [small.box]],
    ['can be the largest ones', { most: { count: 1, by: 'area' } }, [large.box]],
    ['can be the most certain ones', { most: { count: 1, by: 'score' } }, [small.box]],
    ['can be all of no image', { minScore: 1 }, []],
  ])('%s', (_, rules, boxes) => {
    expect(choose(rules)).toEqual(boxes);
  });
});

describe('masks', () => {
  it('grow by a square of so many pixels, and shrink until nothing is left', () => {
    expect(choose({ grow: 4, maxShare: 0.1 })).toEqual([{ left: 1, top: 1, right: 8, bottom: 8 }]);
    expect(choose({ grow: -3, maxShare: 0.1 })).toEqual([{ left: 3, top: 3, right: 5, bottom: 5 }]);
    expect(choose({ grow: -6 })).toHaveLength(1);
  });

  it('move to the right and up, and come in at the other side', () => {
    expect(choose({ offset: { x: 3, y: 1 }, maxShare: 0.1 })).toEqual([
      { left: 5, top: 1, right: 9, bottom: 5 },
    ]);
    const [wrapped] = choose({ offset: { x: 0, y: 4 }, maxShare: 0.1 });
    expect(wrapped).toMatchObject({ top: 0, bottom: 30 });
  });

  it('can be one for all regions, or one for all else', () => {
    const [merged] = regionMasks([small, large], { ...RULES, merge: 'merge' }, IMAGE);
    const [inverted] = regionMasks([small, large], { ...RULES, merge: 'invert' }, IMAGE);
    const area = 4 * 4 + 20 * 20;
    const white = (mask: Pixels | undefined) => mask?.data.filter((value) => value === 255).length;
    expect(white(merged)).toBe(area);
    expect(white(inverted)).toBe(IMAGE.width * IMAGE.height - area);
  });
});
