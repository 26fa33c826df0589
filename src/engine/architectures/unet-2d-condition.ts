import { attentionPerKey } from '#engine/graph/attention.ts';
import { halve } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { activate, conv2d, groupNorm, imageToTokens } from '#engine/graph/layers.ts';
import {
  add,
  concat,
  resizeNearest,
  scale,
  split,
  subtract,
  upsampleNearest,
} from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import { attentionBlock } from './attention-block.ts';
import type { BuildOptions } from './build-options.ts';
import { ConfigReader, type ConfigJson } from './config.ts';
import { applyFreeU, type FreeU } from './freeu.ts';
import { ipAdapterModules } from './ip-adapter.ts';
import { resnetBlock } from './resnet.ts';
import { createTokenMerger, type TokenMerging } from './token-merging.ts';
import { transformer2d, type ImagePrompts, type TransformerContext } from './transformer-2d.ts';
import {
  downBlocks,
  embedTime,
  midBlock,
  readUnetSizes,
  transformerLayers,
  transformerSettings,
  unetInputs,
  type LatentSize,
  type UnetSizes,
} from './unet-encoder.ts';

export interface Unet2dConditionOptions extends BuildOptions {
  /** Fixed sides; those left out stay open until a session or a run sets them. */
  size?: LatentSize;
  /** Every convolution takes its borders from the opposite side: images that tile. */
  tiling?: boolean;
  freeU?: FreeU;
  tokenMerging?: TokenMerging;
  /**
   * Adds the inputs `down_block_additional_residual_0 …` and `mid_block_additional_residual`: what ControlNets,
   * already scaled and summed, add to the skip connections and to the mid block.
   */
  controlNet?: boolean;
  /** Adds the inputs `down_intrablock_additional_residual_0 …`, one per down block. */
  t2iAdapter?: boolean;
  /** Adds the input `inpaint_feature`, as large as what the first convolution gives: Fooocus adds it to that. */
  inpaintFeature?: boolean;
  /**
   * Adds `ip_hidden_states_0 …` [batch, images · tokens, cross_attention_dim] and `ip_scale_0 …` [images] for each adapter; with
   * `parts`, the latter as [blocks, images], and `ip_region_0_0 …` [images, 1, height, width] at each size that blocks have.
   * Their weights are named as in diffusers: `….attn2.processor.to_k_ip.0.weight`.
   */
  ipAdapters?: readonly IpAdapterOptions[];
  /**
   * Adds the output `mid_block_self_attention` [batch, cells]: how much attention the mid block pays to each of its cells,
   * as self-attention guidance wants it.
   */
  selfAttention?: boolean;
  /**
   * `kept` adds the output `deep_feature` [batch, channels, height, width]: what reaches the last layer of the last up block from
   * below. `given` takes it as an input instead of computing it: of the network only the first convolution, that layer and what
   * follows are left. Source: Ma et al. 2023, "DeepCache", arXiv 2312.00858, with the cache at its shallowest place.
   */
  deepFeature?: 'kept' | 'given';
  /**
   * Adds the inputs `<module>.lora_down` [rank, in] and `<module>.lora_up` [out, rank] for every linear layer and 1×1
   * convolution: LoRAs that change without new weights. Each module has a rank of its own; several LoRAs are joined along
   * it, their strengths multiplied into one of the factors, and zeros of rank 1 change nothing.
   */
  loraInputs?: boolean;
  /** Numbers in `time_ids` where the configuration does not tell (6; the SDXL refiner has 5). */
  timeIds?: number;
}

/** What a UNet is shown through an IP-Adapter. */
export interface IpAdapterOptions {
  images: number;
  /** Tokens of each image. */
  tokens: number;
  /** Whether images count differently by place and by block. */
  parts?: boolean;
}

const UP_BLOCKS = ['UpBlock2D', 'CrossAttnUpBlock2D', 'AttnUpBlock2D'] as const;

/**
 * Diffusers' UNet2DConditionModel for the Stable Diffusion 1, 2 and XL families, inpainting and distilled variants.
 * Inputs `sample` [batch, in_channels, height, width], `timestep` [1], `encoder_hidden_states` [batch, sequence,
 * cross_attention_dim], those the configuration adds (`text_embeds`, `time_ids`, `timestep_cond`, `class_labels`)
 * and those the options add; all float32. Output `out_sample`.
 * Source: diffusers, models/unets/unet_2d_condition.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildUnet2dCondition(json: ConfigJson, options: Unet2dConditionOptions): BuiltGraph {
  const config = new ConfigReader(json, 'UNet2DConditionModel');
  const sizes = readUnetSizes(config);
  const [firstChannels = 0] = sizes.channels;
  const graph = new Graph({ ...options, name: 'unet', circular: options.tiling ?? false });
  const { sample, timestep, text, batch } = unetInputs(graph, sizes, {
    channels: config.number('in_channels', 4),
    size: options.size,
  });

  const time = embedTime(graph, config, { sizes, timestep, batch, timeIds: options.timeIds });
  const context: TransformerContext = {
    text,
    imagePrompts: (options.ipAdapters ?? []).map((adapter, index) =>
      imagePrompts(graph, sizes, { adapter, index, batch, blocks: attendingBlocks(json) }),
    ),
    merger: options.tokenMerging && createTokenMerger(options.tokenMerging, sample),
  };
  const centred = config.boolean('center_input_sample', false)
    ? subtract(graph, scale(graph, sample, 2), graph.floats([1], []))
    : sample;
  const first = conv2d(graph, centred, 'conv_in', {
    out: firstChannels,
    kernel: config.number('conv_in_kernel', 3),
  });
  const input = options.inpaintFeature
    ? add(graph, first, graph.input('inpaint_feature', 'float32', first.shape))
    : first;

  let attended: Value | undefined;
  const controlled = (skips: readonly Value[]) =>
    options.controlNet
      ? skips.map((skip, index) =>
          add(graph, skip, graph.input(`down_block_additional_residual_${index}`, 'float32', skip.shape)),
        )
      : skips;
  const upper = { config, sizes, time, context, freeU: options.freeU };
  let hidden: Value;
  if (options.deepFeature === 'given') {
    const feature = graph.input('deep_feature', 'float32', first.shape);
    hidden = upBlocks(graph, feature, { ...upper, skips: controlled([input]), isDeep: true });
  } else {
    const down = downBlocks(graph, input, {
      sizes,
      time,
      context,
      adapter: options.t2iAdapter ? adapterFeatures(graph, sizes, sample) : [],
    });
    hidden = midBlock(graph, down.hidden, {
      sizes,
      time,
      context: {
        ...context,
        ...(options.selfAttention && {
          watch: (operands) => (attended ??= attentionPerKey(graph, operands)),
        }),
      },
    });
    const skips = controlled(down.skips);
    if (options.controlNet) {
      hidden = add(graph, hidden, graph.input('mid_block_additional_residual', 'float32', hidden.shape));
    }
    hidden = upBlocks(graph, hidden, {
      ...upper,
      skips,
      ...(options.deepFeature && { keep: (feature) => graph.output('deep_feature', feature) }),
    });
  }

  const { groups, epsilon } = sizes.resnet;
  const normed = groupNorm(graph, hidden, 'conv_norm_out', { groups, epsilon });
  const out = conv2d(graph, activate(graph, normed, sizes.activation), 'conv_out', {
    out: config.number('out_channels', 4),
    kernel: config.number('conv_out_kernel', 3),
  });
  graph.output('out_sample', out);
  if (attended) graph.output('mid_block_self_attention', attended);
  return graph.build();
}

/**
 * The up blocks: each layer joins the latest skip connection to what comes from below.
 * @param isDeep the input is what reaches the last layer of all; `keep` is shown that
 */
function upBlocks(
  graph: Graph,
  input: Value,
  {
    config,
    sizes,
    skips,
    time,
    context,
    freeU,
    isDeep = false,
    keep,
  }: {
    config: ConfigReader;
    sizes: UnetSizes;
    skips: readonly Value[];
    time: Value;
    context: TransformerContext;
    freeU: FreeU | undefined;
    isDeep?: boolean;
    keep?: (feature: Value) => void;
  },
): Value {
  const count = sizes.channels.length;
  const types = config.words('up_block_types', UP_BLOCKS, [
    'UpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
  ]);
  if (types.length !== count) {
    throw new AppError('invalid_request', `up_block_types has ${types.length} entries for ${count} blocks.`);
  }
  const layersOfTransformers = config.has('reverse_transformer_layers_per_block')
    ? transformerLayers(config, 'reverse_transformer_layers_per_block', count)
    : sizes.transformerLayers.toReversed();
  const remaining = [...skips];
  let hidden = input;
  types.forEach((type, block) => {
    const mirrored = count - 1 - block;
    const name = `up_blocks.${block}`;
    const out = sizes.channels[mirrored] ?? 0;
    const layers = (sizes.layers[mirrored] ?? 1) + 1;
    for (let layer = 0; layer < layers; layer++) {
      const isLast = block === count - 1 && layer === layers - 1;
      if (isDeep && !isLast) continue;
      if (isLast) keep?.(hidden);
      let skip = remaining.pop();
      if (!skip)
        throw new AppError('invalid_request', 'The up blocks have more layers than the down blocks.');
      if (freeU)
        ({ hidden, skip } = applyFreeU(graph, freeU, {
          hidden,
          skip,
          resolution: block,
          firstChannels: sizes.channels[0] ?? 0,
        }));
      const joined = concat(graph, [hidden, skip], 1);
      hidden = resnetBlock(graph, joined, `${name}.resnets.${layer}`, { out, time, settings: sizes.resnet });
      if (type === 'CrossAttnUpBlock2D') {
        const settings = transformerSettings(sizes, {
          block,
          layer,
          layers: layersOfTransformers,
          heads: sizes.heads[mirrored],
          onlyCrossAttention: sizes.onlyCrossAttention[mirrored] ?? false,
        });
        hidden = transformer2d(graph, hidden, `${name}.attentions.${layer}`, settings, context);
      } else if (type === 'AttnUpBlock2D') {
        // The reference does not mirror this list.
        const heads = out / (sizes.headWidths[block] ?? out);
        hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { ...sizes.resnet, heads });
      }
    }
    const next = remaining.at(-1);
    if (next && !isDeep) hidden = upsample(graph, hidden, `${name}.upsamplers.0`, next);
  });
  return hidden;
}

/** Diffusers' Upsample2D, to the size of the skip connection it will meet: sizes need not be multiples of 8. */
function upsample(graph: Graph, input: Value, name: string, next: Value): Value {
  const doubled = [2, 3].every((axis) => Number(input.shape[axis]) * 2 === next.shape[axis]);
  const larger = doubled ? upsampleNearest(graph, input, 2) : resizeNearest(graph, input, next);
  return conv2d(graph, larger, `${name}.conv`, { out: Number(input.shape[1]) });
}

/** The blocks that attend to prompts, however many layers they have, in the order they run in. */
function attendingBlocks(json: ConfigJson): string[] {
  const modules = ipAdapterModules(json).map((module) => module.replace(/\.transformer_blocks\..*$/, ''));
  return ['down_', 'mid_', 'up_'].flatMap((part) => [
    ...new Set(modules.filter((module) => module.startsWith(part))),
  ]);
}

/**
 * What an adapter shows, in all blocks alike or in each block and place by itself. Source of the latter: Mikubill/sd-webui-controlnet,
 * scripts/ipadapter/plugable_ipadapter.py.
 */
function imagePrompts(
  graph: Graph,
  { contextWidth }: UnetSizes,
  {
    adapter: { images, tokens: count, parts = false },
    index,
    batch,
    blocks,
  }: { adapter: IpAdapterOptions; index: number; batch: Value['shape'][number]; blocks: readonly string[] },
): ImagePrompts {
  const tokens = graph.input(`ip_hidden_states_${index}`, 'float32', [batch, images * count, contextWidth]);
  const scale = graph.input(`ip_scale_${index}`, 'float32', parts ? [blocks.length, images] : [images]);
  if (!parts) return { tokens, images, shareIn: () => ({ scales: scale }) };
  const scales = split(graph, scale, blocks.length, 0).map((row) => graph.reshape(row, [images]));
  const regions = new Map<string, Value>();
  return {
    tokens,
    images,
    shareIn(block, { shape: [, , height = 1, width = 1] }) {
      const size = [height, width].join();
      const region =
        regions.get(size) ??
        imageToTokens(
          graph,
          graph.input(`ip_region_${index}_${regions.size}`, 'float32', [images, 1, height, width]),
        );
      regions.set(size, region);
      return { scales: scales[blocks.indexOf(block)] ?? scale, region };
    },
  };
}

/** T2I-Adapter features: one per down block, at the resolution the reference adds it at. */
function adapterFeatures(graph: Graph, sizes: UnetSizes, sample: Value): Value[] {
  const last = sizes.channels.length - 1;
  let [, , height = 1, width = 1] = sample.shape;
  return sizes.channels.map((channels, block) => {
    const after = block === last ? [height, width] : [halve(height), halve(width)];
    const at = sizes.downBlocks[block] === 'CrossAttnDownBlock2D' ? [height, width] : after;
    [height = 1, width = 1] = after;
    const shape = [sample.shape[0] ?? 1, channels, ...at];
    return graph.input(`down_intrablock_additional_residual_${block}`, 'float32', shape);
  });
}
