import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onnx } from 'onnx-proto';
import { expect, test } from 'vitest';
import {
  buildEmojiDecoder,
  buildEmojiEncoder,
  buildEmojiTextEncoder,
} from '#engine/architectures/emoji-mini.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { TensorSource } from '#engine/weights/tensor-source.ts';
import { relativeError } from '../../../parity/models.ts';
import { openGraph, openModel, type Numbers } from '../../../support/onnx-session.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';

/*
 * The built-in model's networks exist as exported ONNX files. Here the numbers in those files go into the graphs this
 * engine writes, and both must compute the same.
 */

type Tensors = Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>;

function readExported(part: string): { bytes: Uint8Array; graph: onnx.IGraphProto } {
  const file = path.resolve(import.meta.dirname, `../../../../public/models/emoji-mini/${part}/model.onnx`);
  const bytes = readFileSync(file);
  const { graph } = onnx.ModelProto.decode(bytes);
  if (!graph) throw new Error(`${part} has no graph.`);
  return { bytes, graph };
}

function toTensor({ dims, dataType, rawData, floatData }: onnx.ITensorProto): Tensors[string] {
  const bytes = Uint8Array.from(rawData ?? []);
  const integers = dataType === onnx.TensorProto.DataType.INT8;
  const stored = integers ? new Int8Array(bytes.buffer) : new Float32Array(bytes.buffer);
  return {
    shape: (dims ?? []).map(Number),
    data: Float32Array.from(bytes.length > 0 ? stored : (floatData ?? [])),
  };
}

/** Every weight of an exported graph by the name of the value that holds it, int8 ones dequantised. */
function readWeights({ initializer, node }: onnx.IGraphProto): Tensors {
  const tensors: Tensors = {};
  for (const tensor of initializer ?? []) tensors[String(tensor.name)] = toTensor(tensor);
  for (const { opType, input, output, attribute } of node ?? []) {
    const constant = opType === 'Constant' ? attribute?.[0]?.t : undefined;
    if (constant?.dataType === onnx.TensorProto.DataType.FLOAT)
      tensors[String(output?.[0])] = toTensor(constant);
    if (opType !== 'DequantizeLinear') continue;
    const [weight, scale] = [tensors[String(input?.[0])], tensors[String(input?.[1])]];
    if (!weight || !scale) continue;
    const axis = Number(attribute?.find(({ name }) => name === 'axis')?.i ?? 1);
    const channels = weight.shape[axis] ?? 1;
    const inner = weight.shape.slice(axis + 1).reduce((product, side) => product * side, 1);
    tensors[String(output?.[0])] = {
      shape: weight.shape,
      data: weight.data.map((value, i) => value * (scale.data[Math.floor(i / inner) % channels] ?? 0)),
    };
  }
  return tensors;
}

/** The weights of an exported autoencoder under the names this engine uses. */
function autoencoderWeights(graph: onnx.IGraphProto, half: 'enc' | 'dec'): TensorSource {
  const tensors = readWeights(graph);
  const named: Tensors = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (/^m\.net\..*\.(weight|bias)$/.test(name)) named[name.replace('m.', `${half}.`)] = tensor;
  }
  const mean = Object.values(tensors).find(({ shape }) => shape.join() === '16,1,1');
  const operator = half === 'enc' ? 'Div' : 'Mul';
  const deviationName = graph.node
    ?.filter(({ opType }) => opType === operator)
    .flatMap(({ input }) => input ?? [])
    .find((input) => tensors[input]?.data.length === 1);
  const deviation = tensors[deviationName ?? ''];
  if (!mean || !deviation) throw new Error('The latents are not standardised.');
  return tensorsOf({
    ...named,
    'latents.mean': { shape: [16], data: mean.data },
    'latents.std': { shape: [1], data: deviation.data },
  });
}

/** The weights of the exported text encoder: its matrices lost their names and are told by their order. */
function textEncoderWeights(graph: onnx.IGraphProto): TensorSource {
  const tensors = readWeights(graph);
  const named: Tensors = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (/^m\.(tok\.weight|pos|.*\.bias|.*\.n[12f]\.weight|nf\.weight)$/.test(name))
      named[name.slice(2)] = tensor;
  }
  const layers = [0, 1, 2, 3].flatMap((layer) =>
    ['qkv', 'o', 'f1', 'f2'].map((matrix) => `blocks.${layer}.${matrix}`),
  );
  const matrices = (graph.node ?? []).flatMap(({ opType, input }) => {
    const matrix = opType === 'MatMul' ? tensors[String(input?.[1])] : undefined;
    return matrix ? [matrix] : [];
  });
  ['up', ...layers, 'proj'].forEach((name, index) => {
    const matrix = matrices[index];
    if (!matrix) throw new Error(`There is no matrix for ${name}.`);
    const [rows = 0, columns = 0] = matrix.shape;
    const data = new Float32Array(rows * columns);
    matrix.data.forEach((value, i) => (data[(i % columns) * rows + Math.floor(i / columns)] = value));
    named[`${name}.weight`] = { shape: [columns, rows], data };
  });
  return tensorsOf(named);
}

async function compare(
  exported: Uint8Array,
  built: BuiltGraph,
  weights: TensorSource,
  inputs: Record<string, Numbers>,
): Promise<void> {
  const [theirs, ours] = [await openModel(exported), await openGraph(built, weights, {})];
  const [expected, actual] = [await theirs.run(inputs), await ours.run(inputs)];
  await theirs.release();
  await ours.release();
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, { data, shape }] of Object.entries(expected)) {
    expect(actual[name]?.shape).toEqual(shape);
    expect(relativeError(actual[name]?.data ?? new Float32Array(), data), name).toBeLessThan(1e-4);
  }
  expect(built.unused).toEqual([]);
}

test('the decoder', async () => {
  const { bytes, graph } = readExported('vae_decoder');
  const weights = autoencoderWeights(graph, 'dec');
  const latents = { data: pseudoRandom(16 * 6 * 4), shape: [1, 16, 6, 4] };
  await compare(bytes, buildEmojiDecoder({}, { weights }), weights, { latent_sample: latents });
});

test('the encoder', async () => {
  const { bytes, graph } = readExported('vae_encoder');
  const weights = autoencoderWeights(graph, 'enc');
  const picture = { data: pseudoRandom(3 * 96 * 64), shape: [1, 3, 96, 64] };
  await compare(bytes, buildEmojiEncoder({}, { weights }), weights, { sample: picture });
});

test('the text encoder', async () => {
  const { bytes, graph } = readExported('text_encoder');
  const weights = textEncoderWeights(graph);
  const ids = new Int32Array(2 * 77).fill(49407);
  ids.set([49406, 736, 8088], 0);
  ids.set([49406, 1579, 2368, 537, 320, 2866], 77);
  await compare(bytes, buildEmojiTextEncoder({}, { weights }), weights, {
    input_ids: { data: ids, shape: [2, 77] },
  });
});
