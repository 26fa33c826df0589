import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { openReference, type ReferenceModel } from '../../../parity/models.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { joinSources, pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

/*
 * Configurations beyond the reference models, each arranged so that it must compute what the plain tiny UNet does.
 */

let unet: ReferenceModel;
let plain: Float32Array;

beforeAll(async () => {
  unet = await openReference(path.resolve(import.meta.dirname, '../../../fixtures/models/unet-sd1'));
  plain = await run({});
});

const sample = pseudoRandom(2 * 4 * 64);

async function run(
  change: object,
  weights: TensorSource = unet.weights,
  extra: Record<string, Numbers> = {},
): Promise<Float32Array> {
  const graph = buildUnet2dCondition({ ...unet.config, ...change }, { weights });
  expect(graph.unused.filter((name) => !unet.weights.info(name))).toEqual([]);
  const session = await openGraph(graph, weights, unet.files);
  const { out_sample: output } = await session.run({
    sample: { data: sample, shape: [2, 4, 8, 8] },
    timestep: { data: Float32Array.of(77), shape: [1] },
    encoder_hidden_states: { data: pseudoRandom(2 * 77 * 32, 2), shape: [2, 77, 32] },
    ...extra,
  });
  await session.release();
  return output?.data ?? new Float32Array();
}

const withTensors = (tensors: Parameters<typeof tensorsOf>[0]) =>
  joinSources(tensorsOf(tensors), unet.weights);

/** Tensors of zeros. */
function zeros(shapes: Record<string, number[]>): Parameters<typeof tensorsOf>[0] {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { shape, data: new Float32Array(shape.reduce((product, side) => product * side, 1)) },
    ]),
  );
}

test('center_input_sample doubles the sample and subtracts one', async () => {
  const halves = { data: sample.map((value) => (value + 1) / 2), shape: [2, 4, 8, 8] };
  const output = await run({ center_input_sample: true }, unet.weights, { sample: halves });
  expect(relativeError(output, plain)).toBeLessThan(1e-5);
});

test('time_cond_proj_dim adds timestep_cond to the timestep', async () => {
  const weights = withTensors(randomTensors({ 'time_embedding.cond_proj.weight': [16, 6] }));
  const condition = (value: number) => ({
    timestep_cond: { data: new Float32Array(2 * 6).fill(value), shape: [2, 6] },
  });
  expect(relativeError(await run({ time_cond_proj_dim: 6 }, weights, condition(0)), plain)).toBeLessThan(
    1e-5,
  );
  expect(relativeError(await run({ time_cond_proj_dim: 6 }, weights, condition(1)), plain)).toBeGreaterThan(
    1e-4,
  );
});

test('num_class_embeds adds a row per class', async () => {
  const table = pseudoRandom(3 * 64);
  table.fill(0, 64, 128);
  const weights = withTensors({ 'class_embedding.weight': { shape: [3, 64], data: table } });
  const labels = (label: number) => ({ class_labels: { data: Int32Array.of(label, label), shape: [2] } });
  expect(relativeError(await run({ num_class_embeds: 3 }, weights, labels(1)), plain)).toBeLessThan(1e-5);
  expect(relativeError(await run({ num_class_embeds: 3 }, weights, labels(2)), plain)).toBeGreaterThan(1e-4);
});

test.each([
  ['timestep', { data: Float32Array.of(3, 4), shape: [2] }, 16],
  ['projection', { data: pseudoRandom(10), shape: [2, 5] }, 5],
])('class_embed_type %s embeds class_labels as it does the timestep', async (type, labels, width) => {
  const weights = withTensors({
    ...randomTensors({
      'class_embedding.linear_1.weight': [64, width],
      'class_embedding.linear_1.bias': [64],
    }),
    ...zeros({ 'class_embedding.linear_2.weight': [64, 64], 'class_embedding.linear_2.bias': [64] }),
  });
  const change = { class_embed_type: type, projection_class_embeddings_input_dim: width };
  expect(relativeError(await run(change, weights, { class_labels: labels }), plain)).toBeLessThan(1e-5);
});

test('class_embed_type identity adds class_labels as they are', async () => {
  const labels = { class_labels: { data: new Float32Array(128), shape: [2, 64] } };
  expect(
    relativeError(await run({ class_embed_type: 'identity' }, unet.weights, labels), plain),
  ).toBeLessThan(1e-5);
});

test('resnet_time_scale_shift scale_shift is the default where the timestep says nothing', async () => {
  const projections = [...unet.weights.names()].filter((name) => name.includes('time_emb_proj'));
  const silenced = (factor: number) =>
    withTensors(
      zeros(
        Object.fromEntries(
          projections.map((name) => {
            const [out = 0, ...rest] = unet.weights.info(name)?.shape ?? [];
            return [name, [factor * out, ...rest]];
          }),
        ),
      ),
    );
  const scaleShift = await run({ resnet_time_scale_shift: 'scale_shift' }, silenced(2));
  expect(relativeError(scaleShift, await run({}, silenced(1)))).toBeLessThan(1e-5);
});

test('AttnDownBlock2D and AttnUpBlock2D attend within the image', async () => {
  const shapes = (module: string, channels: number) => ({
    ...randomTensors({
      [`${module}.group_norm.weight`]: [channels],
      [`${module}.group_norm.bias`]: [channels],
      ...Object.fromEntries(
        ['to_q', 'to_k', 'to_v'].flatMap((name) => [
          [`${module}.${name}.weight`, [channels, channels]],
          [`${module}.${name}.bias`, [channels]],
        ]),
      ),
    }),
    ...zeros({
      [`${module}.to_out.0.weight`]: [channels, channels],
      [`${module}.to_out.0.bias`]: [channels],
    }),
  });
  const weights = withTensors({
    ...shapes('down_blocks.1.attentions.0', 32),
    ...shapes('up_blocks.0.attentions.0', 32),
    ...shapes('up_blocks.0.attentions.1', 32),
  });
  const change = {
    down_block_types: ['CrossAttnDownBlock2D', 'AttnDownBlock2D'],
    up_block_types: ['AttnUpBlock2D', 'CrossAttnUpBlock2D'],
  };
  expect(relativeError(await run(change, weights), plain)).toBeLessThan(1e-5);
});

test('mid_block_type null leaves the mid block out', async () => {
  const graph = buildUnet2dCondition({ ...unet.config, mid_block_type: null }, { weights: unet.weights });
  expect(graph.unused.length).toBeGreaterThan(0);
  expect(graph.unused.every((name) => name.startsWith('mid_block.'))).toBe(true);
  expect(relativeError(await run({ mid_block_type: null }), plain)).toBeGreaterThan(1e-3);
});

test('block lists of unlike lengths are refused', () => {
  const build = (change: object) => () =>
    buildUnet2dCondition({ ...unet.config, ...change }, { weights: unet.weights });
  expect(build({ up_block_types: ['UpBlock2D'] })).toThrow('up_block_types has 1 entries for 2 blocks');
  expect(build({ layers_per_block: [1, 1, 1] })).toThrow('layers_per_block must be a number or a list of 2');
  expect(build({ norm_num_groups: 5 })).toThrow('cannot be split into 5 groups');
});
