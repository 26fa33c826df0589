import type { AutoencoderPart } from '#engine/architectures/autoencoder-kl.ts';
import { findArchitecture, type NetworkName } from '#engine/architectures/index.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import type { TextEncoderOptions, TextOutput } from '#engine/architectures/text-outputs.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { castTensors, type FloatType } from '#weights/casts.ts';
import type { Component } from '#weights/checkpoint.ts';
import { matchLora, openTargets } from '#weights/match-lora.ts';
import { lowRankFactors, mergeLoras } from '#weights/merge-loras.ts';
import { foldsWeights } from '#weights/folding.ts';
import { byteLength, type TensorInfo, type TensorSource } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import type { AddOnPack, AnyPack, ModelFamily, ModelPack } from '#protocol/model.ts';
import { traced } from '#protocol/trace.ts';
import { packKey, type ChosenLora } from './add-ons.ts';
import { externalDataOf } from './external-data.ts';
import { withIpAdapters } from './ip-adapters.ts';
import { giveLoras } from './lora-inputs.ts';
import type { NetworkChanges, Networks, PreparedNetwork } from './networks.ts';
import type { PackFiles } from './pack-files.ts';
import { openWeightFiles, type WeightFiles } from './weight-files.ts';

/** How far back clip skip may reach. */
const CLIP_SKIPS = 12;

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
  const { shortTitle, textEncoders } = families[pack.family];
  if (textEncoders.length > 1 && !weights.networks.has('text_encoder')) {
    throw new AppError(
      'unsupported_feature',
      `${pack.title} is not a complete ${shortTitle} model: the first text encoder is missing.`,
    );
  }
  return networksOf(pack, weights, runtime, foldedBytes);
}

/** The networks of an add-on, and their configurations. */
export interface BuiltAddOn {
  networks: Networks;
  configs: ReadonlyMap<Component, ConfigJson>;
}

/** A VAE, a ControlNet, an upscaler, an image encoder or what goes with it. @param family of the model it is for; null for add-ons of no family */
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

  const architectureOf = (name: NetworkName) =>
    findArchitecture(name, (component, tensor) => sources.get(component)?.info(tensor) !== undefined);

  function prepare(
    name: NetworkName,
    { loras, unet, ipAdapters = [] }: NetworkChanges,
    part?: AutoencoderPart,
  ): PreparedNetwork {
    const found = architectureOf(name);
    const own = found && networks.get(found.component);
    if (!found || !own) throw new AppError('unsupported_feature', `${pack.title} has no ${name}.`);
    const { component, build } = found;
    const keyOf = (lora: ChosenLora) => `${packKey(lora.pack)}*${String(strengthFor(lora, component))}`;
    const active = loras
      .filter((lora) => strengthFor(lora, component) !== 0)
      // Sums round differently in another order.
      .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

    const written = name === 'unet' ? unet : unet.tiling === true && CONVOLVING.includes(name) ? TILING : {};
    const asked = TEXT_ENCODERS.some((encoder) => encoder === name)
      ? textEncoderOptions(weights, component, own.config)
      : part
        ? { part }
        : {};
    const adapters = name === 'unet' ? ipAdapters : [];
    const networkOf = (changed: TensorSource, change: string, loraInputs = false): PreparedNetwork => {
      const adapted = withIpAdapters(changed, own.config, adapters);
      const source = castTensors(adapted, (tensor) => storedType(tensor, own.source, precision));
      const bytes = bytesOf(source);
      const keys = adapters.map(({ key }) => key);
      return {
        key: [packKey(pack), name, ...(part ? [part] : []), change, JSON.stringify(written), ...keys].join(
          '|',
        ),
        bytes,
        async open() {
          const folds = foldsWeights(bytes, foldedBytes);
          const graph = build(own.config, {
            ...written,
            ...asked,
            loraInputs,
            weights: source,
            precision,
            slicesAttention: runtime.device === null,
            winograd: runtime.device === null && folds,
          });
          return weights.readingAll(async () => {
            const externalData = await traced(`read the weights of ${name}`, () =>
              externalDataOf(
                graph,
                source,
                new Map([...files, ...adapters.flatMap((adapter) => [...adapter.files])]),
              ),
            );
            return traced(`create the session of ${name}`, () =>
              runtime.createSession(graph.model, { externalData, foldWeights: folds }),
            );
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
    tokenTables: TEXT_ENCODERS.flatMap((component) => {
      const { vocab_size: rows, hidden_size: width } = networks.get(component)?.config ?? {};
      return typeof rows === 'number' && typeof width === 'number' ? [{ rows, width }] : [];
    }),
    has: (name) => architectureOf(name) !== undefined,
    split(name) {
      const found = architectureOf(name);
      const config = found && networks.get(found.component)?.config;
      return config && found.split?.(config);
    },
    matchLora: (lora) => matchLora(openTargets(sources), lora).skipped,
    prepare,
  };
}

/** Networks whose convolutions take part in tiling, besides the UNet. */
const CONVOLVING: readonly NetworkName[] = ['vae_decoder', 'vae_encoder', 'controlnet'];

const TILING = { tiling: true };

const TEXT_ENCODERS = ['text_encoder', 'text_encoder_2'] as const;

/**
 * Every output a prompt may ask of a text encoder: one by itself gives the last layer or, with clip skip, an earlier one
 * through the final norm; SDXL's two give the last but one as it is. The last encoder has the pooled output, if the UNet
 * takes one.
 */
function textEncoderOptions(
  { networks }: WeightFiles,
  component: Component,
  config: ConfigJson,
): Omit<TextEncoderOptions, 'weights'> {
  const layers = typeof config['num_hidden_layers'] === 'number' ? config['num_hidden_layers'] : 12;
  const earlier = Array.from({ length: Math.min(CLIP_SKIPS, layers) - 1 }, (_, index) => layers - 1 - index);
  const isPair = networks.has('text_encoder_2');
  const isLast = component === (isPair ? 'text_encoder_2' : 'text_encoder');
  const isPooled = isLast && networks.get('unet')?.config['addition_embed_type'] === 'text_time';
  const hidden: TextOutput[] = isPair
    ? earlier.map((layer) => `hidden_states.${layer}` as const)
    : ['last_hidden_state', ...earlier.map((layer) => `normed_hidden_states.${layer}` as const)];
  return { outputs: isPooled ? [...hidden, 'text_embeds'] : hidden, addedEmbeddings: true };
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
