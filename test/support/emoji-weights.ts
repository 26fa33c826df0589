import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as OnnxProto from 'onnx-proto';
import {
  buildEmojiDecoder,
  buildEmojiEncoder,
  buildEmojiTextEncoder,
} from '#engine/architectures/emoji-mini.ts';
import {
  buildUnet2dCondition,
  type Unet2dConditionOptions,
} from '#engine/architectures/unet-2d-condition.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { readGeneratedFile } from '#engine/graph/weight-binder.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { TensorSource } from '#engine/weights/tensor-source.ts';
import { packs } from '#library/packs/index.ts';
import type { ModelPack } from '#protocol/model.ts';
import { EMOJI_MINI, readFrom } from './node-engine.ts';
import { tensorsOf } from './random-weights.ts';

/*
 * The built-in model comes as exported ONNX files. Here the numbers in them are taken out and put into the graphs this
 * engine writes.
 */

// Node does not see the names this CommonJS module exports.
const { onnx } = createRequire(import.meta.url)('onnx-proto') as typeof OnnxProto;

/** The networks of the built-in model. */
export type EmojiNetwork = 'unet' | 'text_encoder' | 'vae_decoder' | 'vae_encoder';

type Tensors = Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>;

/** An exported network: its file, and its weights under the names this engine uses, int8 ones dequantised. */
export function readExported(network: EmojiNetwork): { bytes: Uint8Array; weights: TensorSource } {
  const bytes = readFileSync(path.join(EMOJI_MINI, network, 'model.onnx'));
  const { graph } = onnx.ModelProto.decode(bytes);
  if (!graph) throw new Error(`${network} has no graph.`);
  const tensors = readTensors(graph);
  const named = network.startsWith('vae')
    ? autoencoderWeights(graph, tensors, network === 'vae_encoder' ? 'enc' : 'dec')
    : { ...keptNames(tensors), ...lostNames(graph, tensors) };
  return { bytes, weights: tensorsOf(named) };
}

const BUILDERS = {
  unet: buildUnet2dCondition,
  text_encoder: buildEmojiTextEncoder,
  vae_decoder: buildEmojiDecoder,
  vae_encoder: buildEmojiEncoder,
} as const;

/** The graph this engine writes for a network of the built-in model. @param options of the UNet */
export function buildEmoji(
  network: EmojiNetwork,
  weights: TensorSource,
  options: Pick<Unet2dConditionOptions, 'loraInputs'> = {},
): BuiltGraph {
  const config: ConfigJson =
    network === 'unet'
      ? (JSON.parse(readFileSync(path.join(EMOJI_MINI, 'unet/config.json'), 'utf8')) as ConfigJson)
      : {};
  return BUILDERS[network](config, { ...options, weights });
}

/**
 * The built-in model as a pack of built graphs, each with its weights in a file beside it.
 *
 * @param change what becomes of a network's weights, such as quantising them
 */
export async function buildEmojiPack(
  change: (weights: TensorSource, network: EmojiNetwork) => TensorSource = (weights) => weights,
): Promise<{ pack: ModelPack; readFile: ReadFile }> {
  const pack = packs['emoji-mini'];
  const files = new Map<string, Blob>();
  for (const network of ['unet', 'text_encoder', 'vae_decoder'] as const) {
    const weights = change(readExported(network).weights, network);
    const { model, generated } = buildEmoji(network, weights);
    files.set(`${network}/model.onnx`, new Blob([model]));
    if (!generated) throw new Error(`${network} has no weights.`);
    const parts: BlobPart[] = [];
    for await (const part of readGeneratedFile(generated, weights)) parts.push(part);
    files.set(`${network}/${generated.path}`, new Blob(parts));
  }
  const others = pack.files.filter(({ path: file }) => !file.endsWith('.onnx'));
  const readOthers = readFrom(EMOJI_MINI);
  return {
    pack: {
      ...pack,
      files: [
        ...others,
        ...[...files].map(([file, { size }]) => ({ path: file, sizeBytes: size, sha256: null })),
      ],
    },
    readFile: async (file) => files.get(file) ?? readOthers(file),
  };
}

function toTensor({ dims, dataType, rawData, floatData }: OnnxProto.onnx.ITensorProto): Tensors[string] {
  const bytes = Uint8Array.from(rawData ?? []);
  const integers = dataType === onnx.TensorProto.DataType.INT8;
  const stored = integers ? new Int8Array(bytes.buffer) : new Float32Array(bytes.buffer);
  return {
    shape: (dims ?? []).map(Number),
    data: Float32Array.from(bytes.length > 0 ? stored : (floatData ?? [])),
  };
}

/** Every weight by the name of the value that holds it. */
function readTensors({ initializer, node }: OnnxProto.onnx.IGraphProto): Tensors {
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

/** Weights that kept their names, behind the exporter's `m.`. */
function keptNames(tensors: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => /^m\.(?:pos|.*\.(?:weight|bias))$/.test(name))
      .map(([name, tensor]) => [name.slice(2), tensor]),
  );
}

/** What a weight without a name is to the layer whose node reads it, `/m/mid_block/resnets.0/norm1/Mul`. */
const PARAMETER: Readonly<Record<string, string>> = { MatMul: 'weight', Mul: 'weight', Add: 'bias' };

/** Weights that the exporter took apart from their layers: matrices it transposed, scales and shifts of group norms. */
function lostNames({ node }: OnnxProto.onnx.IGraphProto, tensors: Tensors): Tensors {
  const named: Tensors = {};
  for (const { name, opType, input } of node ?? []) {
    const layer = /^\/m\/(.+)\/\w+$/
      .exec(name ?? '')?.[1]
      ?.replaceAll('/', '.')
      // The text encoder's blocks were numbered by their layers, from the second on.
      .replace(/^(qkv|o|f1|f2)(?:_(\d+))?$/, (_, matrix: string, block = '0') => `blocks.${block}.${matrix}`);
    const parameter = PARAMETER[opType ?? ''];
    const source = input?.find((value) => value.startsWith('onnx::'));
    const tensor = tensors[source ?? ''];
    if (!layer || !parameter || !tensor) continue;
    named[`${layer}.${parameter}`] =
      opType === 'MatMul' ? transpose(tensor) : { ...tensor, shape: tensor.shape.slice(0, 1) };
  }
  return named;
}

function transpose({ shape: [rows = 0, columns = 0], data }: Tensors[string]): Tensors[string] {
  const transposed = new Float32Array(data.length);
  data.forEach((value, i) => (transposed[(i % columns) * rows + Math.floor(i / columns)] = value));
  return { shape: [columns, rows], data: transposed };
}

function autoencoderWeights(
  graph: OnnxProto.onnx.IGraphProto,
  tensors: Tensors,
  half: 'enc' | 'dec',
): Tensors {
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
  return {
    ...named,
    'latents.mean': { shape: [16], data: mean.data },
    'latents.std': { shape: [1], data: deviation.data },
  };
}
