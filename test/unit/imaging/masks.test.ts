import { describe, expect, it } from 'vitest';
import { boundsOf, boxMask, clipBox, ellipseMask } from '#imaging/masks/box.ts';
import { islandsOf } from '#imaging/masks/islands.ts';
import { joinMasks } from '#imaging/masks/join-masks.ts';
import { depthMap, normalMap } from '#imaging/controlnet/depth-map.ts';

const SIZE = { width: 8, height: 6 };

/** One plane of rows of digits, in tenths. */
const planeOf = (...rows: readonly string[]) => ({
  channels: 1,
  width: rows[0]?.length ?? 0,
  height: rows.length,
  data: Float32Array.from(rows.join(''), (digit) => Number(digit) / 10),
});

describe('masks of boxes', () => {
  it('have the pixels whose centres lie within', () => {
    const mask = boxMask(SIZE, { left: 1.4, top: 2, right: 3.6, bottom: 4 });
    expect(boundsOf(mask)).toEqual({ left: 1, top: 2, right: 4, bottom: 4 });
    expect(mask.data.filter((sample) => sample === 255)).toHaveLength(6);
  });

  it('or of the ellipses in them, which touch their sides', () => {
    const box = { left: 0, top: 0, right: 8, bottom: 6 };
    const ellipse = ellipseMask(SIZE, box);
    expect(boundsOf(ellipse)).toEqual(box);
    expect([ellipse.data[0], ellipse.data[7], ellipse.data[3 * 8 + 4]]).toEqual([0, 0, 255]);
  });

  it('are cut off where boxes leave the image', () => {
    expect(clipBox({ left: -3, top: 2, right: 20, bottom: 9 }, SIZE)).toEqual({
      left: 0,
      top: 2,
      right: 8,
      bottom: 6,
    });
    expect(boundsOf(boxMask(SIZE, { left: -5, top: -5, right: 0, bottom: 0 }))).toBeNull();
  });
});

describe('islands of a soft mask', () => {
  it('are its connected parts, the largest first; corners do not connect', () => {
    const islands = islandsOf(planeOf('9900', '9900', '0089', '0000', '7000'), 0.5, 0);
    expect(islands.map(({ area, box }) => [area, box])).toEqual([
      [4, { left: 0, top: 0, right: 2, bottom: 2 }],
      [2, { left: 2, top: 2, right: 4, bottom: 3 }],
      [1, { left: 0, top: 4, right: 1, bottom: 5 }],
    ]);
    const [, second] = islands;
    expect(second?.score).toBeCloseTo(0.85);
    expect([...(second?.mask.data ?? [])].filter((sample) => sample > 0)).toEqual([204, 229]);
  });

  it('are left out where they are small', () => {
    expect(islandsOf(planeOf('9900', '9900', '0089'), 0.5, 0.2)).toHaveLength(1);
  });
});

it('masks are joined by the lighter of each pixel', () => {
  const left = boxMask(SIZE, { left: 0, top: 0, right: 2, bottom: 6 });
  const top = boxMask(SIZE, { left: 0, top: 0, right: 8, bottom: 1 });
  expect(joinMasks(SIZE, [left, top]).data.filter((sample) => sample === 255)).toHaveLength(18);
  expect(boundsOf(joinMasks(SIZE, []))).toBeNull();
});

describe('maps of depth', () => {
  it('go from black to white, whatever the scale', () => {
    const { data } = depthMap({ channels: 1, width: 3, height: 1, data: Float32Array.of(-5, 0, 15) });
    expect([...data]).toEqual([0, 0, 0, 63, 63, 63, 255, 255, 255]);
  });

  it('are black where all is as far', () => {
    const flat = { channels: 1, width: 2, height: 2, data: new Float32Array(4).fill(7) };
    expect(new Set(depthMap(flat).data)).toEqual(new Set([0]));
    expect([...normalMap(flat, 0.4).data.subarray(0, 3)]).toEqual([127, 127, 255]);
  });

  it('have normals that lean the way depth grows', () => {
    const ramp = {
      channels: 1,
      width: 5,
      height: 5,
      data: Float32Array.from({ length: 25 }, (_, i) => Math.floor(i / 5)),
    };
    const { data } = normalMap(ramp, 0);
    const [red = 0, green = 0, blue = 0] = data.subarray(12 * 3, 12 * 3 + 3);
    // 4 rows are 1000 of depth: Sobel's operator gives 2000 down, and 2π stands for up.
    expect([red, green, blue]).toEqual([127, 254, 127]);
  });
});
