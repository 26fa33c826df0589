import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import {
  buildAutoencoderTinyDecoder,
  buildAutoencoderTinyEncoder,
} from '#engine/architectures/autoencoder-tiny.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildClipVision, type ClipVisionOutput } from '#engine/architectures/clip-vision.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import { buildControlNet } from '#engine/architectures/controlnet.ts';
import type { TextOutput } from '#engine/architectures/text-outputs.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { openSafetensors, type SafetensorsFile } from '#weights/safetensors-source.ts';
import { toAppError } from '#protocol/error.ts';
import { openGraph, type Numbers } from '../support/onnx-session.ts';
import { relativeError } from '../support/relative-error.ts';
import type { ParityCase } from './case.ts';
import { checkpointCases } from './checkpoint-names.ts';

const TOLERANCE = 1e-4;

/** A reference model: its configuration, weights and recorded inputs and outputs. */
export interface ReferenceModel {
  directory: string;
  config: ConfigJson;
  weights: SafetensorsFile;
  /** The bytes behind `weights`, under the name the graph calls the file. */
  files: Readonly<Record<string, Uint8Array>>;
  io: SafetensorsFile;
}

/** Runs every `models/<name>` of a folder of references through the graphs this engine writes. */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  yield* checkpointCases(dir);
  const models = join(dir, 'models');
  if (!existsSync(models)) return;
  for (const name of readdirSync(models).sort()) {
    const directory = join(models, name);
    if (!existsSync(join(directory, 'config.json')) || !existsSync(join(directory, 'io.safetensors')))
      continue;
    yield* modelCases(name, directory);
  }
}

async function* modelCases(name: string, directory: string): AsyncGenerator<ParityCase> {
  try {
    const model = await openReference(directory);
    const outputs = await runReference(model);
    for (const output of recorded(model, 'out.')) {
      const actual = outputs[`out.${output}`];
      yield {
        name: `models/${name} ${output}`,
        error: actual ? relativeError(actual, await readFloats(model.io, `out.${output}`)) : Infinity,
        tolerance: TOLERANCE,
        supported: true,
        ...(!actual && { note: 'not computed' }),
      };
    }
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const supported = code !== 'unsupported_feature';
    yield { name: `models/${name}`, error: Infinity, tolerance: TOLERANCE, supported, note: message };
  }
}

/** Opens a folder with `config.json`, `io.safetensors` and one file of weights. */
export async function openReference(directory: string): Promise<ReferenceModel> {
  const file = readdirSync(directory).find(
    (name) => name.endsWith('.safetensors') && name !== 'io.safetensors',
  );
  if (!file) throw new Error(`${directory} has no weights.`);
  const bytes = readFileSync(join(directory, file));
  return {
    directory,
    config: JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as ConfigJson,
    weights: await openSafetensors(new Blob([bytes]), file),
    files: { [file]: bytes },
    io: await openSafetensors(new Blob([readFileSync(join(directory, 'io.safetensors'))]), 'io.safetensors'),
  };
}

/** The recorded outputs' names with what this engine computes for the recorded inputs. */
export async function runReference(model: ReferenceModel): Promise<Record<string, Float32Array>> {
  const { config } = model;
  const kind = String(
    config['_class_name'] ?? (config['architectures'] as string[] | undefined)?.[0] ?? config['model_type'],
  );
  if (kind.startsWith('CLIPText')) return runClipText(model);
  if (kind.startsWith('CLIPVision')) return runClipVision(model);
  if (kind === 'UNet2DConditionModel') return runUnet(model);
  if (kind === 'ControlNetModel') return runControlNet(model);
  if (kind === 'AutoencoderKL')
    return runAutoencoder(model, buildAutoencoderKlEncoder, buildAutoencoderKlDecoder);
  if (kind === 'AutoencoderTiny')
    return runAutoencoder(model, buildAutoencoderTinyEncoder, buildAutoencoderTinyDecoder);
  throw new Error(`No architecture for ${kind}.`);
}

async function runClipText(model: ReferenceModel): Promise<Record<string, Float32Array>> {
  const wanted = recorded(model, 'out.').map((name): TextOutput =>
    name === 'penultimate'
      ? `hidden_states.${Number(model.config['num_hidden_layers']) - 1}`
      : (name as TextOutput),
  );
  const graph = buildClipText(model.config, { weights: model.weights, outputs: wanted });
  return renamed(model, wanted, await runGraph(model, graph, { input_ids: 'input_ids' }));
}

async function runClipVision(model: ReferenceModel): Promise<Record<string, Float32Array>> {
  const wanted = recorded(model, 'out.').map((name): ClipVisionOutput =>
    name === 'penultimate'
      ? `hidden_states.${Number(model.config['num_hidden_layers']) - 1}`
      : (name as ClipVisionOutput),
  );
  const graph = buildClipVision(model.config, { weights: model.weights, imageOutputs: wanted });
  return renamed(model, wanted, await runGraph(model, graph, { pixel_values: 'pixel_values' }));
}

async function runUnet(model: ReferenceModel): Promise<Record<string, Float32Array>> {
  const graph = buildUnet2dCondition(model.config, { weights: model.weights });
  const { out_sample: sample } = await runGraph(model, graph, {});
  return sample ? { 'out.sample': sample } : {};
}

async function runAutoencoder(
  model: ReferenceModel,
  buildEncoder: typeof buildAutoencoderKlEncoder,
  buildDecoder: typeof buildAutoencoderKlDecoder,
): Promise<Record<string, Float32Array>> {
  const { weights } = model;
  const encoded = await runGraph(model, buildEncoder(model.config, { weights }), { sample: 'image' });
  const decoded = await runGraph(model, buildDecoder(model.config, { weights }), { latent_sample: 'latent' });
  const found = {
    'out.mean': encoded['mean'],
    'out.logvar': encoded['logvar'],
    'out.encoded': encoded['latent_sample'],
    'out.decoded': decoded['sample'],
  };
  return Object.fromEntries(Object.entries(found).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

/** The ControlNet's residuals, and the UNet beside it (`unet-sd1`) with them. */
async function runControlNet(model: ReferenceModel): Promise<Record<string, Float32Array>> {
  const strength = /conditioning_scale ([\d.]+)/.exec(model.io.metadata['note'] ?? '')?.[1] ?? '1';
  const scale: Numbers = { data: Float32Array.of(Number(strength)), shape: [1] };
  const graph = buildControlNet(model.config, { weights: model.weights });
  const residuals = await runGraph(model, graph, {}, { conditioning_scale: scale });
  const outputs: Record<string, Float32Array> = {};
  const toUnet: Record<string, Numbers> = {};
  for (const { name, shape } of graph.outputs) {
    const data = residuals[name];
    if (!data) continue;
    const index = /down_block_residual_(\d+)/.exec(name)?.[1];
    const recordedName = index === undefined ? 'out.mid' : `out.down.${index}`;
    outputs[recordedName] = data;
    const info = model.io.info(recordedName);
    toUnet[
      index === undefined ? 'mid_block_additional_residual' : `down_block_additional_residual_${index}`
    ] = {
      data,
      shape: info?.shape ?? shape.map(Number),
    };
  }
  const unetDirectory = join(model.directory, '..', 'unet-sd1');
  if (model.io.info('out.unet_sample') && existsSync(unetDirectory)) {
    const unet = { ...(await openReference(unetDirectory)), io: model.io };
    const built = buildUnet2dCondition(unet.config, { weights: unet.weights, controlNet: true });
    const { out_sample: sample } = await runGraph(unet, built, {}, toUnet);
    if (sample) outputs['out.unet_sample'] = sample;
  }
  return outputs;
}

/**
 * Runs a graph once on the recorded inputs; `inputNames` gives those that the recording calls differently.
 * `extra` holds inputs that were not recorded.
 */
async function runGraph(
  model: ReferenceModel,
  graph: BuiltGraph,
  inputNames: Readonly<Record<string, string>>,
  extra: Readonly<Record<string, Numbers>> = {},
): Promise<Record<string, Float32Array>> {
  const inputs: Record<string, Numbers> = { ...extra };
  for (const { name, type, shape } of graph.inputs) {
    if (extra[name]) continue;
    const source = `in.${inputNames[name] ?? name}`;
    const info = model.io.info(source);
    if (!info) throw new Error(`The reference has no input ${source}.`);
    const data = type === 'int32' ? await readIntegers(model.io, source) : await readFloats(model.io, source);
    inputs[name] = { data, shape: info.shape.length === 0 ? shape.map(Number) : info.shape };
  }
  const session = await openGraph(graph, model.weights, model.files);
  try {
    const outputs = await session.run(inputs);
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
  } finally {
    await session.release();
  }
}

/** Names of the recorded tensors that start with `in.` or `out.`, without it. */
function recorded(model: ReferenceModel, prefix: string): string[] {
  return [...model.io.names()]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** The outputs under their recorded names, given in the recording's order. */
function renamed(
  model: ReferenceModel,
  wanted: readonly string[],
  outputs: Readonly<Record<string, Float32Array>>,
): Record<string, Float32Array> {
  const result: Record<string, Float32Array> = {};
  recorded(model, 'out.').forEach((name, index) => {
    const data = outputs[wanted[index] ?? ''];
    if (data) result[`out.${name}`] = data;
  });
  return result;
}

/** A recorded tensor as floats. */
export async function readFloats(source: SafetensorsFile, name: string): Promise<Float32Array> {
  if (source.info(name)?.type !== 'float32') throw new Error(`${name} is not float32.`);
  return new Float32Array((await source.read(name)).buffer);
}

async function readIntegers(source: SafetensorsFile, name: string): Promise<Int32Array> {
  const bytes = await source.read(name);
  return source.info(name)?.type === 'int64'
    ? Int32Array.from(new BigInt64Array(bytes.buffer), Number)
    : new Int32Array(bytes.buffer);
}
