import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDevice } from '#engine/models/device.ts';
import { createModels } from '#engine/models/models.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import { isUnsafe } from '#engine/vision/check-safety.ts';
import { createPixels } from '#imaging/pixels.ts';
import { recogniseWeights } from '#weights/recognise.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { clipVisionShapes } from '../../../support/tiny-image-prompt.ts';
import { addOnPack, fileOf } from '../../../support/tiny-packs.ts';

const WIDTH = 48;

/** A CompVis safety checker in the layout of diffusers, tiny and with random weights. @param limit of its concepts */
function checkerTensors(limit: number) {
  const shapes = Object.fromEntries(
    Object.entries(clipVisionShapes({ projection: WIDTH })).map(([name, shape]) => [
      name.startsWith('vision_model.') ? `vision_model.${name}` : name,
      shape,
    ]),
  );
  const limits = (count: number, value: number) => ({
    shape: [count],
    data: new Float32Array(count).fill(value),
  });
  return tensorsOf({
    ...randomTensors({ ...shapes, concept_embeds: [4, WIDTH], special_care_embeds: [3, WIDTH] }),
    concept_embeds_weights: limits(4, limit),
    special_care_embeds_weights: limits(3, 2),
  });
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openNodeRuntime();
});
afterAll(() => runtime.close());

it('is recognised by its names', () => {
  expect(recogniseWeights(checkerTensors(0))).toMatchObject({ kind: 'safety-checker', family: null });
});

it.each([
  [-1.5, true],
  [1.5, false],
])('decides by the limits in its file: %d', async (limit, expected) => {
  const checker = await addOnPack('safety-checker', 'compvis', await fileOf(checkerTensors(limit)));
  const filesOf = () => (path: string) => Promise.resolve(checker.files[path]);
  const run = createRunContext(
    createDevice(runtime, createModels(runtime, filesOf)),
    {
      task: 'check-safety',
      image: new Blob(),
      check: { checker: 'compvis', threshold: 0.6 },
    },
    [checker.pack],
    filesOf,
    { cancelled: false, skipped: false },
    () => undefined,
  );
  const image = createPixels({ width: 40, height: 30 }, 3, 90);
  expect(await isUnsafe(run, { checker: 'compvis', threshold: 0.6 }, image)).toBe(expected);
  await run.vision.release();
});
