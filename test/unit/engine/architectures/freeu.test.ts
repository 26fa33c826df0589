import { expect, test } from 'vitest';
import { applyFreeU } from '#engine/architectures/freeu.ts';
import { Graph } from '#engine/graph/graph.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

const [height, width] = [6, 8];

/** The reference's filter by its definition: the spectrum's frequencies -1 and 0 of both axes times a factor. */
function filtered(plane: Float32Array, factor: number): Float32Array {
  const output = Float32Array.from(plane);
  for (const ky of [-1, 0]) {
    for (const kx of [-1, 0]) {
      let [real, imaginary] = [0, 0];
      plane.forEach((value, i) => {
        const angle = -2 * Math.PI * ((ky * Math.floor(i / width)) / height + (kx * (i % width)) / width);
        real += value * Math.cos(angle);
        imaginary += value * Math.sin(angle);
      });
      output.forEach((value, i) => {
        const angle = 2 * Math.PI * ((ky * Math.floor(i / width)) / height + (kx * (i % width)) / width);
        const part = (real * Math.cos(angle) - imaginary * Math.sin(angle)) / (height * width);
        output[i] = value + (factor - 1) * part;
      });
    }
  }
  return output;
}

async function run(version: 1 | 2, resolution: number) {
  const weights = tensorsOf({});
  const graph = new Graph({ name: 'freeu', weights });
  const result = applyFreeU(
    graph,
    { b1: 1.3, b2: 1.5, s1: 0.9, s2: 0.2, version },
    {
      hidden: graph.input('hidden', 'float32', [1, 4, height, width]),
      skip: graph.input('skip', 'float32', [1, 1, height, width]),
      resolution,
      firstChannels: 2,
    },
  );
  graph.output('hidden_out', result.hidden);
  graph.output('skip_out', result.skip);
  const session = await openGraph(graph.build(), weights, {});
  const hidden = pseudoRandom(4 * height * width);
  const skip = pseudoRandom(height * width, 2);
  const outputs = await session.run({
    hidden: { data: hidden, shape: [1, 4, height, width] },
    skip: { data: skip, shape: [1, 1, height, width] },
  });
  await session.release();
  const of = (name: string) => outputs[name]?.data ?? new Float32Array();
  return { hidden, skip, hiddenOut: of('hidden_out'), skipOut: of('skip_out') };
}

test('version 1 multiplies half of the channels and damps the lowest frequencies', async () => {
  for (const [resolution, strength, damping] of [
    [0, 1.3, 0.9],
    [1, 1.5, 0.2],
  ] as const) {
    const { hidden, skip, hiddenOut, skipOut } = await run(1, resolution);
    const half = 2 * height * width;
    const expected = hidden.map((value, i) => (i < half ? value * strength : value));
    expect(relativeError(hiddenOut, expected)).toBeLessThan(1e-6);
    expect(relativeError(skipOut, filtered(skip, damping))).toBeLessThan(1e-6);
  }
});

test('version 1 leaves the larger resolutions alone', async () => {
  const { hidden, skip, hiddenOut, skipOut } = await run(1, 2);
  expect(hiddenOut).toEqual(hidden);
  expect(skipOut).toEqual(skip);
});

test('version 2 goes by the width and follows the mean of the channels', async () => {
  const { hidden, skip, hiddenOut, skipOut } = await run(2, 0);
  const size = height * width;
  const mean = Array.from(
    { length: size },
    (_, i) => [0, 1, 2, 3].reduce((sum, c) => sum + (hidden[c * size + i] ?? 0), 0) / 4,
  );
  const [least, most] = [Math.min(...mean), Math.max(...mean)];
  const expected = hidden.map((value, i) => {
    const relative = ((mean[i % size] ?? 0) - least) / (most - least);
    // Four channels are twice the network's first two: the second pair of strengths.
    return i < 2 * size ? value * (0.5 * relative + 1) : value;
  });
  expect(relativeError(hiddenOut, expected)).toBeLessThan(1e-6);
  expect(relativeError(skipOut, filtered(skip, 0.2))).toBeLessThan(1e-6);
});
