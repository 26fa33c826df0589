import { beforeAll, expect, test } from 'vitest';
import type { Dimension } from '#engine/graph/dimension.ts';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d } from '#engine/graph/layers.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { readEmoji } from '../../../support/emoji-weights.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

/* A convolution of the built-in UNet, with its own weights in int8, both ways. */

const LAYER = 'down_blocks.0.resnets.0.conv1';
const CHANNELS = 96;
let weights: TensorSource;
beforeAll(async () => {
  weights = await readEmoji('unet', 'int8');
});

interface Ways {
  winograd: boolean;
  circular?: boolean;
  /** What the graph knows of height and width. */
  known?: readonly [Dimension, Dimension];
}

function build({ winograd, circular = false, known = ['height', 'width'] }: Ways) {
  const graph = new Graph({ name: 'layer', weights, winograd, circular });
  const image = graph.input('image', 'float32', ['batch', CHANNELS, ...known]);
  graph.output('output', conv2d(graph, image, LAYER, { out: CHANNELS }));
  return graph.build();
}

async function run(height: number, width: number, ways: Ways) {
  const session = await openGraph(build(ways), weights, {});
  const shape = [2, CHANNELS, height, width];
  const { output } = await session.run({
    image: { data: pseudoRandom(2 * CHANNELS * height * width), shape },
  });
  await session.release();
  expect(output?.shape).toEqual(shape);
  return output?.data ?? new Float32Array();
}

test.each([
  ['even sides', 16, 12, {}],
  ['odd sides', 7, 5, {}],
  ['one odd side', 8, 5, {}],
  ['a single cell', 1, 1, {}],
  ['sides known to be even', 6, 4, { known: ['2*height', '4*width'] }],
  ['fixed odd sides', 7, 6, { known: [7, 6] }],
  ['borders from the opposite side', 8, 6, { circular: true }],
  ['borders from the opposite side, odd', 5, 7, { circular: true }],
] as const)('computes what the direct convolution does: %s', async (_, height, width, ways) => {
  const direct = await run(height, width, { ...ways, winograd: false });
  const winograd = await run(height, width, { ...ways, winograd: true });
  expect(relativeError(winograd, direct)).toBeLessThan(5e-6);
  // It is another sum, so the last bits differ: both ran.
  expect(winograd).not.toEqual(direct);
});

test('is for graphs that ask for it only', () => {
  const text = (winograd: boolean) => new TextDecoder('latin1').decode(build({ winograd }).model);
  expect(text(false)).not.toContain('DepthToSpace');
  expect(text(true)).toContain('DepthToSpace');
});
