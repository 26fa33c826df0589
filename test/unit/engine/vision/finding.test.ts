import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { overlap } from '#imaging/masks/box.ts';
import { findFaces } from '#engine/vision/find-faces.ts';
import { findPerson } from '#engine/vision/find-person.ts';
import { findPose, findPoses } from '#engine/vision/find-poses.ts';
import { rateSafety } from '#engine/vision/rate-safety.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { readCaseImage, runWithIncluded } from '../../../support/small-networks.ts';

const readModel = readFrom(path.resolve(import.meta.dirname, '../../../../public/models'));
const readFixtureFile = readFrom(path.resolve(import.meta.dirname, '../../../fixtures/small-networks'));

let runtime: Runtime;
let run: RunContext;
/** A portrait, 96 × 96. */
let portrait: Pixels;
beforeAll(async () => {
  runtime = await openNodeRuntime();
  run = runWithIncluded(runtime, readModel);
  portrait = await readCaseImage(await readFixtureFile('face-detector/photo.png'), 1);
});
afterAll(() => runtime.close());

/** The portrait at some places of a grey image, each `side` pixels wide. */
function montage(side: number, portraits: readonly { x: number; y: number; side: number }[]): Pixels {
  const image = createPixels({ width: side, height: side }, 3, 128);
  for (const { x, y, side: own } of portraits) {
    const part = resize(portrait, { width: own, height: own }, 'bicubic');
    for (let row = 0; row < own; row++)
      image.data.set(part.data.subarray(row * own * 3, (row + 1) * own * 3), ((y + row) * side + x) * 3);
  }
  return image;
}

describe('faces', () => {
  it('are found where they are, with eyes, nose and mouth', async () => {
    const [face, ...more] = await findFaces(run, resize(portrait, { width: 384, height: 384 }, 'bicubic'));
    expect(more).toEqual([]);
    expect(face?.score).toBeGreaterThan(0.5);
    // Where the face detector's own reference has it, in shares of the side. The second network's boxes are a little different.
    const [left, top, right, bottom] = [0.3436, 0.1356, 0.5382, 0.33].map((share) => share * 384) as [
      number,
      number,
      number,
      number,
    ];
    expect(face && overlap(face.box, { left, top, right, bottom })).toBeGreaterThan(0.6);
    const [rightEye, leftEye, nose, mouth] = face?.points ?? [];
    expect(rightEye?.x).toBeLessThan(leftEye?.x ?? 0);
    expect(nose?.y).toBeGreaterThan(leftEye?.y ?? 0);
    expect(mouth?.y).toBeGreaterThan(nose?.y ?? 0);
  });

  it('of different sizes are all found in one image', async () => {
    const places = [
      { x: 30, y: 40, side: 420 },
      { x: 520, y: 100, side: 300 },
      { x: 700, y: 620, side: 260 },
      { x: 150, y: 700, side: 200 },
    ];
    const faces = await findFaces(run, montage(1024, places));
    expect(faces).toHaveLength(places.length);
    for (const { x, y, side } of places) {
      const inside = faces.filter(
        ({ box }) => box.left > x && box.top > y && box.right < x + side && box.bottom < y + side,
      );
      expect(inside).toHaveLength(1);
    }
  });

  it('are not found where there are none', async () => {
    const shapes = await readCaseImage(await readFixtureFile('face-refine/shapes.png'), 4);
    expect(await findFaces(run, shapes)).toEqual([]);
    expect(await findFaces(run, createPixels({ width: 8, height: 500 }, 3))).toEqual([]);
  });
});

describe('people', () => {
  it('are separated from the background', async () => {
    const image = resize(portrait, { width: 300, height: 200 }, 'bicubic');
    const mask = await findPerson(run, image);
    expect([mask.channels, mask.height, mask.width]).toEqual([1, 200, 300]);
    const at = (x: number, y: number) => mask.data[y * 300 + x] ?? Number.NaN;
    expect(at(135, 60)).toBeGreaterThan(0.9);
    expect(at(5, 5)).toBeLessThan(0.5);
  });

  it('have a pose, in pixels of the image', async () => {
    const image = resize(portrait, { width: 480, height: 480 }, 'bicubic');
    const pose = await findPose(run, image);
    expect(pose).toHaveLength(17);
    const [nose, leftEye, rightEye, , , leftShoulder, rightShoulder] = pose;
    expect(nose?.score).toBeGreaterThan(0.3);
    // As in the reference of the pose network: y 0.24, x 0.455.
    expect((nose?.x ?? 0) / 480).toBeCloseTo(0.455, 1);
    expect((nose?.y ?? 0) / 480).toBeCloseTo(0.24, 1);
    expect(leftEye?.x).toBeGreaterThan(rightEye?.x ?? 0);
    expect(leftShoulder?.x).toBeGreaterThan(rightShoulder?.x ?? 0);
  });

  it('each have a pose of their own', async () => {
    const image = montage(1024, [
      { x: 20, y: 250, side: 440 },
      { x: 560, y: 250, side: 440 },
    ]);
    const poses = await findPoses(run, image);
    expect(poses).toHaveLength(2);
    expect(poses.map(([nose]) => Math.floor((nose?.x ?? 0) / 512)).sort()).toEqual([0, 1]);
  });
});

it('rates a portrait as harmless', async () => {
  const { drawing, neutral, hentai, porn, sexy } = await rateSafety(run, portrait);
  expect(drawing + neutral + hentai + porn + sexy).toBeCloseTo(1, 4);
  expect(hentai + porn).toBeLessThan(0.1);
});

it('frees its networks', async () => {
  await run.vision.release();
  expect((await findFaces(run, portrait)).length).toBeGreaterThan(0);
});
