import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { drawPoses, toOpenPose, type OpenPoseBody } from '#imaging/controlnet/openpose.ts';

type Pair = readonly [x: number, y: number] | null;

const body = (...pairs: readonly Pair[]): OpenPoseBody =>
  pairs.map((pair) => pair && { x: pair[0], y: pair[1] });

const WHOLE = body(
  [96, 30],
  [96.5, 60.2],
  [70, 61],
  [50.4, 95],
  [40, 130.7],
  [123, 59],
  [140, 96],
  [131, 128],
  [80, 130],
  [76, 180],
  [70, 236],
  [110, 131],
  [117.3, 182],
  [123, 240],
  [90, 24],
  [102, 24],
  [82, 28],
  null,
);
const CUT_OFF = body(
  null,
  [30, 70],
  [12, 72],
  null,
  null,
  [48, 68],
  [60.5, 90],
  [70, 110],
  [22, 120],
  [5, 160],
  [-3, 200],
  [40, 121],
  [47, 160],
  null,
  null,
  null,
  null,
  null,
);

describe('openpose', () => {
  test('draws bodies as the ControlNet extension does with OpenCV, one that leaves the image included', async () => {
    const reference = decodePng(await readFile('test/fixtures/openpose/two-bodies.png'));
    const { width, height, data } = drawPoses({ width: 192, height: 256 }, [WHOLE, CUT_OFF]);
    expect([width, height]).toEqual([reference.width, reference.height]);
    const { channels } = reference;
    let different = 0;
    for (let i = 0; i < width * height; i++) {
      const differs = [0, 1, 2].some((c) => data[i * 3 + c] !== reference.data[i * channels + c]);
      if (differs) different++;
    }
    expect(different).toBe(0);
  });

  test('puts COCO points in the order of OpenPose, with a neck between the shoulders', () => {
    const points = Array.from({ length: 17 }, (_, index) => ({ x: index, y: 10 * index, score: 1 }));
    const found = toOpenPose(points);
    expect(found.map((point) => point?.x)).toEqual([
      0, 5.5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3,
    ]);
    expect(found[1]).toEqual({ x: 5.5, y: 55 });
  });

  test('leaves out points that are not certain, and the neck with a shoulder', () => {
    const points = Array.from({ length: 17 }, (_, index) => ({
      x: index,
      y: index,
      score: index === 6 ? 0.2 : 1,
    }));
    const found = toOpenPose(points);
    expect(found[1]).toBeNull();
    expect(found[2]).toBeNull();
    expect(found[5]).toEqual({ x: 5, y: 5 });
  });
});
