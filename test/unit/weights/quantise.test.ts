import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d, linear } from '#engine/graph/layers.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openCheckpoint } from '#weights/checkpoint.ts';
import {
  chooseStorage,
  dequantiseTensors,
  measureQuantisation,
  quantiseTensors,
  type Storage,
} from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { byteLength, type TensorSource } from '#weights/tensor-source.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { openGraph } from '../../support/onnx-session.ts';
import { fileOf, headerOf, tensorsOf } from './tensors.ts';

/** Numbers that differ from one another, about as trained weights do. */
function weights(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * Math.sin(i * 0.013) * 0.2);
}

const only =
  (storage: Storage) =>
  ({ name }: { name: string }): Storage =>
    name.endsWith('.weight') ? storage : 'exact';

test('four bits: blocks of 32 inputs, two numbers in a byte, the first in its lower half', async () => {
  // 0 … 15 twice: a scale of 1 and a zero point of 0 hold them exactly.
  const row = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? i % 16 : (i % 16) - 8));
  const source = quantiseTensors(tensorsOf({ 'fc.weight': [[1, 64], row] }), only('int4-blocks'));

  expect([...source.names()]).toEqual(['fc.weight', 'fc.weight.scale', 'fc.weight.zero_point']);
  expect(source.info('fc.weight')).toMatchObject({ type: 'uint8', shape: [1, 2, 16] });
  expect(source.info('fc.weight.scale')).toMatchObject({ type: 'float32', shape: [1, 2] });
  expect(source.info('fc.weight.zero_point')).toMatchObject({ type: 'uint8', shape: [1, 1] });
  expect([...(await source.read('fc.weight'))].slice(0, 4)).toEqual([0x10, 0x32, 0x54, 0x76]);
  expect([...(await readFloat32(source, 'fc.weight.scale'))]).toEqual([1, 1]);
  expect([...(await source.read('fc.weight.zero_point'))]).toEqual([0x80]);
  expect([...(await readFloat32(dequantiseTensors(source), 'fc.weight'))]).toEqual([...row]);
});

test('int8 channels: the largest magnitude of each output channel is 127', async () => {
  const source = quantiseTensors(
    tensorsOf({
      'conv.weight': [
        [3, 1, 1, 2],
        [1, -2, 0, 0, 0.5, 0.25],
      ],
    }),
    only('int8-channels'),
  );
  expect([...new Int8Array((await source.read('conv.weight')).buffer)]).toEqual([64, -127, 0, 0, 127, 64]);
  const scales = await readFloat32(source, 'conv.weight.scale');
  expect([...scales]).toEqual([...Float32Array.of(2 / 127, 0, 0.5 / 127)]);
});

test.each([
  ['int8-channels', 1],
  ['int8-blocks', 1],
  ['int4-blocks', 1],
] as const)('%s: no number moves further than its scale allows', (storage, steps) =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 128, maxLength: 128 }),
      async (values) => {
        const before = tensorsOf({ 'w.weight': [[2, 64], values] });
        const quantised = quantiseTensors(before, only(storage));
        const after = await readFloat32(dequantiseTensors(quantised), 'w.weight');
        const scales = await readFloat32(quantised, 'w.weight.scale');
        const run = values.length / scales.length;
        values.forEach((value, i) => {
          const scale = scales[Math.floor(i / run)] ?? NaN;
          expect(Math.abs((after[i] ?? NaN) - value)).toBeLessThanOrEqual(scale * steps * 1.001 + 1e-6);
        });
      },
    ),
    { numRuns: 30 },
  ),
);

describe('ONNX Runtime reads the layouts as they are meant', () => {
  const linearLayer = { 'fc.weight': [[48, 96], weights(48 * 96)], 'fc.bias': [[48], weights(48)] } as const;
  const convolution = {
    'conv.weight': [[8, 4, 3, 3], weights(288)],
    'conv.bias': [[8], weights(8)],
  } as const;

  test.each(['int8-blocks', 'int4-blocks'] as const)('%s in a linear layer', async (storage) => {
    const quantised = quantiseTensors(tensorsOf(linearLayer), only(storage));
    const [fused, plain] = [await runLinear(quantised), await runLinear(dequantiseTensors(quantised))];
    expectClose(fused, plain);
  });

  test('int8-channels in a convolution', async () => {
    const quantised = quantiseTensors(tensorsOf(convolution), only('int8-channels'));
    const [fused, plain] = [
      await runConvolution(quantised),
      await runConvolution(dequantiseTensors(quantised)),
    ];
    expectClose(fused, plain);
  });
});

async function runLinear(source: TensorSource): Promise<Float32Array> {
  const graph = new Graph({ name: 'linear', weights: source });
  graph.output('y', linear(graph, graph.input('x', 'float32', [2, 96]), 'fc', { out: 48 }));
  return runOnce(graph, source, { data: weights(192), shape: [2, 96] });
}

async function runConvolution(source: TensorSource): Promise<Float32Array> {
  const graph = new Graph({ name: 'convolution', weights: source });
  const image = graph.input('x', 'float32', [1, 4, 6, 6]);
  graph.output('y', conv2d(graph, image, 'conv', { out: 8, kernel: 3, padding: 1 }));
  return runOnce(graph, source, { data: weights(144), shape: [1, 4, 6, 6] });
}

async function runOnce(graph: Graph, source: TensorSource, x: { data: Float32Array; shape: number[] }) {
  const session = await openGraph(graph.build(), source, {});
  const { y } = await session.run({ x });
  await session.release();
  if (!y) throw new Error('no output');
  return y.data;
}

function expectClose(actual: Float32Array, expected: Float32Array) {
  const error = Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN))));
  expect(error).toBeLessThan(1e-4);
  expect(Math.max(...expected)).toBeGreaterThan(0.05);
}

test('the error of each storage, as the root mean square relative to the weights', async () => {
  // Normally distributed, as trained weights nearly are.
  let state = 1;
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const normal = Float32Array.from(
    { length: 256 * 256 },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  const source = tensorsOf({ 'w.weight': [[256, 256], normal] });
  const errors = {
    channels: await measureQuantisation(source, 'w.weight', 'int8-channels'),
    blocks8: await measureQuantisation(source, 'w.weight', 'int8-blocks'),
    blocks4: await measureQuantisation(source, 'w.weight', 'int4-blocks'),
  };
  expect(errors.channels).toBeLessThan(0.008);
  expect(errors.blocks8).toBeLessThan(0.006);
  expect(errors.blocks4).toBeLessThan(0.09);
  expect(errors.blocks4).toBeGreaterThan(errors.blocks8 * 10);
});

test('a quantised model is written to a file and opened again, its networks found as before', async () => {
  const unet = tensorsOf({
    'conv_in.weight': [[4, 4, 3, 3], weights(144)],
    'time_embedding.linear_1.weight': [[8, 4], weights(32)],
    'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight': [[128, 128], weights(16_384)],
  });
  const blob = await fileOf(quantiseTensors(unet, chooseStorage('unet', 4)));
  const file = await openSafetensors(blob, 'small.safetensors');
  const found = openCheckpoint(file).components.get('unet');
  if (!found) throw new Error('no UNet');
  const name = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight';
  expect(found.info(name)).toMatchObject({ type: 'uint8', shape: [128, 4, 16] });
  expect(found.location?.(`${name}.scale`)).toBeDefined();
  const before = await readFloat32(unet, name);
  const after = await readFloat32(dequantiseTensors(found), name);
  expect(Math.max(...after.map((value, i) => Math.abs(value - (before[i] ?? NaN))))).toBeLessThan(0.4 / 15);
});

test('"smaller" for the UNet of SD 1.5: what stays exact, and how many bytes it takes', () => {
  const unet = headerOf(
    (names.sd15.unet as [string, string, number[]][]).map(([, name, shape]) => ({
      name,
      type: 'float16',
      shape,
    })),
  );
  const bytes = (source: TensorSource) =>
    [...source.names()].reduce((sum, name) => {
      const info = source.info(name);
      return sum + (info ? byteLength(info) : 0);
    }, 0);
  const storage = chooseStorage('unet', 4);
  const exact = [...unet.names()].filter((name) => {
    const info = unet.info(name);
    return info && info.shape.length > 1 && storage(info) === 'exact';
  });
  expect(exact).toEqual([
    'conv_in.weight',
    'time_embedding.linear_1.weight',
    'time_embedding.linear_2.weight',
    'conv_out.weight',
  ]);
  expect(bytes(unet)).toBe(1_719_041_928);
  expect(bytes(quantiseTensors(unet, storage)) / bytes(unet)).toBeLessThan(0.45);
  expect(bytes(quantiseTensors(unet, chooseStorage('unet', 8))) / bytes(unet)).toBeLessThan(0.56);
});
