import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import {
  buildAutoencoderTinyDecoder,
  buildAutoencoderTinyEncoder,
} from '#engine/architectures/autoencoder-tiny.ts';
import type { BuildOptions } from '#engine/architectures/build-options.ts';
import { buildControlNet } from '#engine/architectures/controlnet.ts';
import { buildClipText, type ClipTextOutput } from '#engine/architectures/clip-text.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import { buildRrdbNet } from '#engine/architectures/rrdb-net.ts';
import {
  buildUnet2dCondition,
  type Unet2dConditionOptions,
} from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { castTensors, type FloatType } from '#engine/weights/casts.ts';
import type { Component } from '#engine/weights/checkpoint.ts';
import { lowRankFactors, mergeLoras } from '#engine/weights/lora.ts';
import { byteLength, type TensorInfo, type TensorSource } from '#engine/weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack, AnyPack, ModelFamily, ModelPack } from '#protocol/model.ts';
import { packKey, type ChosenLora } from './add-ons.ts';
import { externalDataOf } from './external-data.ts';
import { giveLoras } from './lora-inputs.ts';
import {
  foldsWeights,
  type NetworkChanges,
  type NetworkName,
  type Networks,
  type PreparedNetwork,
} from './networks.ts';
import type { PackFiles } from './pack-files.ts';
import { openWeightFiles, type WeightFiles } from './weight-files.ts';

/** How far back clip skip may reach. */
const CLIP_SKIPS = 12;

const TOKEN_TABLE = 'text_model.embeddings.token_embedding.weight';

/**
 * The networks around the weights of a `.safetensors` model, in graphs of the engine's own.
 *
 * @param foldedBytes networks of more bytes are large: their weights are not widened when they are loaded, and UNets among
 *   them take LoRAs as inputs
 */
export async function builtNetworks(
  pack: ModelPack,
  files: PackFiles,
  runtime: Runtime,
  foldedBytes?: number,
): Promise<Networks> {
  const weights = await openWeightFiles(pack, files, pack.family);
  if (pack.family === 'sdxl' && !weights.networks.has('text_encoder')) {
    throw new AppError(
      'unsupported_feature',
      `${pack.title} is no whole SDXL model: it lacks the first text encoder. A refiner only finishes the images of other models, which this engine does not do.`,
    );
  }
  return networksOf(pack, weights, runtime, foldedBytes);
}

/** The networks of an add-on, and their configurations. */
export interface BuiltAddOn {
  networks: Networks;
  configs: ReadonlyMap<Component, ConfigJson>;
}

/** A VAE, a ControlNet or an upscaler. @param family of the model it is for; null for what goes with none */
export async function builtAddOn(
  pack: AddOnPack,
  files: PackFiles,
  family: ModelFamily | null,
  runtime: Runtime,
): Promise<BuiltAddOn> {
  const weights = await openWeightFiles(pack, files, family);
  return {
    networks: networksOf(pack, weights, runtime),
    configs: new Map([...weights.networks].map(([component, { config }]) => [component, config])),
  };
}

function networksOf(pack: AnyPack, weights: WeightFiles, runtime: Runtime, foldedBytes?: number): Networks {
  const { networks, files } = weights;
  const sources = new Map([...networks].map(([component, { source }]) => [component, source]));
  const precision: FloatType = runtime.backend.float16 ? 'float16' : 'float32';

  function prepare(name: NetworkName, { loras, unet }: NetworkChanges): PreparedNetwork {
    const found = componentOf(weights, name);
    const own = found && networks.get(found.component);
    if (!found || !own) throw new AppError('unsupported_feature', `${pack.title} has no ${name}.`);
    const { component, build } = found;
    const keyOf = (lora: ChosenLora) => `${packKey(lora.pack)}*${String(strengthFor(lora, component))}`;
    const active = loras
      .filter((lora) => strengthFor(lora, component) !== 0)
      // Sums round differently in another order.
      .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

    const written = name === 'unet' ? unet : unet.tiling === true && DRAWING.includes(name) ? TILING : {};
    const networkOf = (changed: TensorSource, change: string, loraInputs = false): PreparedNetwork => {
      const source = castTensors(changed, (tensor) => storedType(tensor, own.source, precision));
      const bytes = bytesOf(source);
      return {
        key: [packKey(pack), name, change, JSON.stringify(written)].join('|'),
        bytes,
        async open() {
          const graph = build(own.config, { ...written, loraInputs, weights: source, precision });
          return runtime.createSession(graph.model, {
            externalData: await externalDataOf(graph, source, files),
            foldWeights: foldsWeights(bytes, foldedBytes),
          });
        },
      };
    };

    const key = active.map(keyOf).join('|');
    const plain = networkOf(own.source, '');
    const isLarge = name === 'unet' && !foldsWeights(plain.bytes, foldedBytes);
    const read = isLarge ? lowRankFactors(sources, component, active) : undefined;
    const withInputs =
      read && giveLoras(networkOf(own.source, 'LoRAs as inputs', true), { key, read }, runtime.device);
    if (active.length === 0) return withInputs ? { ...plain, instead: withInputs } : plain;
    return withInputs ?? networkOf(mergeLoras(sources, active).get(component) ?? own.source, key);
  }

  return {
    tokenTables: (['text_encoder', 'text_encoder_2'] as const).flatMap((component) => {
      const table = networks.get(component)?.source.info(TOKEN_TABLE);
      const [rows, width] = table?.shape ?? [];
      return rows === undefined || width === undefined ? [] : [{ rows, width }];
    }),
    has: (name) => componentOf(weights, name) !== undefined,
    prepare,
  };
}

/** Networks whose convolutions take part in tiling, besides the UNet. */
const DRAWING: readonly NetworkName[] = ['vae_decoder', 'vae_encoder', 'controlnet'];

const TILING = { tiling: true };

type Build = (config: ConfigJson, options: Unet2dConditionOptions) => BuiltGraph;

/** Which weights a network has, and what writes its graph. */
function componentOf(
  { networks }: WeightFiles,
  name: NetworkName,
): { component: Component; build: Build } | undefined {
  const isSdxl = networks.has('text_encoder_2');
  const candidates: Readonly<Record<NetworkName, readonly (readonly [Component, mark: string, Build])[]>> = {
    unet: [['unet', 'conv_in.weight', buildUnet2dCondition]],
    text_encoder: [['text_encoder', '', (config, options) => buildTextEncoder(config, options, { isSdxl })]],
    text_encoder_2: [
      [
        'text_encoder_2',
        '',
        (config, options) => buildTextEncoder(config, options, { isSdxl, pooled: true }),
      ],
    ],
    vae_decoder: [
      ['vae', 'decoder.conv_in.weight', buildAutoencoderKlDecoder],
      ['taesd', 'decoder.layers.0.weight', buildAutoencoderTinyDecoder],
    ],
    vae_encoder: [
      ['vae', 'encoder.conv_in.weight', buildAutoencoderKlEncoder],
      ['taesd', 'encoder.layers.0.weight', buildAutoencoderTinyEncoder],
    ],
    controlnet: [['controlnet', '', buildControlNet]],
    upscaler: [['upscaler', '', buildRrdbNet]],
  };
  for (const [component, mark, build] of candidates[name]) {
    const source = networks.get(component)?.source;
    if (source && (mark === '' || source.info(mark))) return { component, build };
  }
  return undefined;
}

/**
 * CLIP with every output a prompt may ask for: SD 1 and 2 read the last layer, or with clip skip an earlier one through the
 * final norm; SDXL reads the last but one as it is, and the second encoder's pooled output.
 */
function buildTextEncoder(
  config: ConfigJson,
  options: BuildOptions,
  { isSdxl, pooled = false }: { isSdxl: boolean; pooled?: boolean },
): BuiltGraph {
  const layers = typeof config['num_hidden_layers'] === 'number' ? config['num_hidden_layers'] : 12;
  const earlier = Array.from({ length: Math.min(CLIP_SKIPS, layers) - 1 }, (_, index) => layers - 1 - index);
  const outputs: ClipTextOutput[] = isSdxl
    ? earlier.map((layer) => `hidden_states.${layer}` as const)
    : ['last_hidden_state', ...earlier.map((layer) => `normed_hidden_states.${layer}` as const)];
  return buildClipText(config, {
    ...options,
    outputs: pooled ? [...outputs, 'text_embeds'] : outputs,
    addedEmbeddings: true,
  });
}

function strengthFor({ lora, strength, textEncoderStrength }: ChosenLora, component: Component): number {
  if (!lora.components.has(component)) return 0;
  return component === 'unet' ? strength : textEncoderStrength;
}

/**
 * The type a weight is handed over in: what the arithmetic is done in, except that float16 files stay as they are for
 * float32 arithmetic. Types no kernel takes become float16, which is no larger than most of them. What a LoRA has widened
 * goes back to what the file has.
 */
function storedType({ name, type }: TensorInfo, file: TensorSource, precision: FloatType): FloatType {
  if (name.endsWith('.scale')) return 'float32';
  if (precision === 'float16') return 'float16';
  const original = file.info(name)?.type ?? type;
  return original === 'float32' || original === 'float64' ? 'float32' : 'float16';
}

/** Bytes of a network's tensors. */
function bytesOf(source: TensorSource): number {
  let bytes = 0;
  for (const name of source.names()) {
    const info = source.info(name);
    if (info) bytes += byteLength(info);
  }
  return bytes;
}
