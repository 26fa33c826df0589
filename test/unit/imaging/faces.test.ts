import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { alignFace, FACE_SIDE } from '#imaging/faces/align-face.ts';
import { pasteFace } from '#imaging/faces/paste-face.ts';
import { estimateSimilarity, invertSimilarity, transform, type Point } from '#imaging/faces/similarity.ts';
import { dilateBySquare, erodeBySquare } from '#imaging/opencv/square-morphology.ts';
import { warpAffine, type AffineMatrix } from '#imaging/opencv/warp-affine.ts';
import { channelOf, createPixels, type Pixels } from '#imaging/pixels.ts';

interface Pasted {
  a: number;
  b: number;
  dx: number;
  dy: number;
  stride: number;
  width?: number;
  data: number[];
}

type Morphology = `${'dilate' | 'erode'}${2 | 3 | 4 | 5}`;

/** What OpenCV gives: test/fixtures/README.md. */
const reference = JSON.parse(
  readFileSync(new URL('../../fixtures/images/faces/opencv.json', import.meta.url), 'utf8'),
) as {
  warp: { matrix: number[]; size: [number, number]; data: number[] };
  paste: Pasted;
  corner: Pasted;
} & Record<Morphology, number[]>;

function imageOf(width: number, height: number, colour: (x: number, y: number) => readonly number[]): Pixels {
  const pixels = createPixels({ width, height }, 3);
  for (let i = 0; i < width * height; i++) pixels.data.set(colour(i % width, Math.floor(i / width)), i * 3);
  return pixels;
}

/** The images that the reference was given. */
const rough = (width: number, height: number) =>
  imageOf(width, height, (x, y) => [(x * 7 + y * 3) % 256, (x * x + y * 5) % 256, (x * y + 11) % 256]);
const smooth = (width: number, height: number, scale: number) =>
  imageOf(width, height, (x, y) => [
    128 + 100 * Math.sin(x / scale),
    128 + 100 * Math.cos(y / scale),
    128 + 60 * Math.sin((x + y) / scale),
  ]);

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('OpenCV', () => {
  it('warps images', () => {
    const [width, height] = reference.warp.size;
    const matrix = reference.warp.matrix as unknown as AffineMatrix;
    const warped = warpAffine(rough(24, 20), matrix, { width, height }, [132, 133, 135]);
    expect(largestDifference(warped.data, reference.warp.data)).toBeLessThanOrEqual(1);
  });

  it.each([2, 3, 4, 5] as const)('dilates and erodes by squares of %i', (side) => {
    const grey = channelOf(rough(13, 11), 0);
    expect([...dilateBySquare(grey, side).data]).toEqual(reference[`dilate${side}`]);
    expect([...erodeBySquare(grey, side).data]).toEqual(reference[`erode${side}`]);
  });
});

describe('similarity', () => {
  const square: readonly Point[] = [
    { x: 0, y: 0 },
    { x: 10, y: 0 },
    { x: 10, y: 10 },
    { x: 0, y: 10 },
  ];

  it('finds the turn, scale and shift of points', () => {
    const moved = square.map(({ x, y }) => ({ x: 3 - 2 * y, y: 5 + 2 * x }));
    const found = estimateSimilarity(square, moved);
    expect(found.a).toBeCloseTo(0);
    expect(found.b).toBeCloseTo(2);
    expect([found.dx, found.dy]).toEqual([3, 5]);
    const back = transform(invertSimilarity(found), transform(found, { x: 7, y: -4 }));
    expect(back.x).toBeCloseTo(7);
    expect(back.y).toBeCloseTo(-4);
  });

  it('is the nearest there is, where none fits exactly', () => {
    const targets = [
      { x: 1, y: 2 },
      { x: 12, y: 1 },
      { x: 9, y: 13 },
      { x: -1, y: 9 },
    ];
    const found = estimateSimilarity(square, targets);
    const errorOf = (similarity: typeof found) =>
      square.reduce((sum, point, i) => {
        const { x, y } = transform(similarity, point);
        return sum + (x - (targets[i]?.x ?? 0)) ** 2 + (y - (targets[i]?.y ?? 0)) ** 2;
      }, 0);
    for (const name of ['a', 'b', 'dx', 'dy'] as const) {
      for (const change of [-0.01, 0.01]) {
        expect(errorOf({ ...found, [name]: found[name] + change })).toBeGreaterThan(errorOf(found));
      }
    }
  });
});

describe('faces', () => {
  it('are cut out upright, with eyes and mouth where restorers expect them', () => {
    // A face of 200 pixels, a quarter turned to the right: dots for its eyes, nose and mouth.
    const points: Point[] = [
      { x: 300, y: 150 },
      { x: 300, y: 250 },
      { x: 241, y: 200 },
      { x: 196, y: 200 },
    ];
    const image = imageOf(480, 360, (x, y) =>
      points.some((point) => Math.hypot(point.x - x, point.y - y) < 6) ? [255, 255, 255] : [0, 0, 0],
    );
    const { face, toImage } = alignFace(image, points);
    expect(face).toMatchObject({ width: FACE_SIDE, height: FACE_SIDE, channels: 3 });
    const brightness = (x: number, y: number) => face.data[(y * FACE_SIDE + x) * 3];
    for (const [x, y] of [
      [193, 240],
      [319, 240],
      [257, 314],
      [257, 371],
    ] as const) {
      expect(brightness(x, y)).toBe(255);
    }
    expect(brightness(400, 100)).toBe(0);
    const eye = transform(toImage, { x: 192.98, y: 239.95 });
    expect(Math.hypot(eye.x - 300, eye.y - 150)).toBeLessThan(6);
  });

  it('are put back as facexlib does', () => {
    for (const { a, b, dx, dy, stride, width = 480, data } of [reference.paste, reference.corner]) {
      const image = smooth(480, 360, 23);
      const pasted = pasteFace(image, smooth(FACE_SIDE, FACE_SIDE, 41), { a, b, dx, dy });
      const sampled: number[] = [];
      for (let y = 0; y < Math.min(width, 360); y += stride) {
        for (let x = 0; x < width; x += stride) {
          const at = (y * 480 + x) * 3;
          sampled.push(...pasted.data.subarray(at, at + 3));
        }
      }
      expect(largestDifference(sampled, data)).toBeLessThanOrEqual(2);
    }
  });

  it('leave the image as it is where they lie outside', () => {
    const image = smooth(64, 48, 9);
    const far = pasteFace(image, smooth(FACE_SIDE, FACE_SIDE, 41), { a: 0.1, b: 0, dx: 500, dy: 500 });
    expect(far.data).toEqual(image.data);
  });
});
