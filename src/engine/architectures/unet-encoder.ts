import type { Dimension } from '#engine/graph/dimension.ts';
import type { Graph, Value } from '#engine/graph/graph.ts';
import { activate, conv2d, linear, type Activation } from '#engine/graph/layers.ts';
import { add, concat, gather } from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import { attentionBlock } from './attention-block.ts';
import type { ConfigReader } from './config.ts';
import { resnetBlock, type ResnetSettings } from './resnet.ts';
import { sinusoidalEmbedding, timestepEmbedding, type Sinusoid } from './time-embedding.ts';
import { transformer2d, type TransformerContext, type TransformerSettings } from './transformer-2d.ts';

/*
 * The half that UNet2DConditionModel and ControlNetModel have in common: embedded timestep, down blocks, mid block.
 * Sources: diffusers, models/unets/unet_2d_condition.py and unet_2d_blocks.py, models/controlnets/controlnet.py.
 */

const DOWN_BLOCKS = ['DownBlock2D', 'CrossAttnDownBlock2D', 'AttnDownBlock2D'] as const;
const MID_BLOCKS = ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'] as const;
const CLASS_EMBEDDINGS = ['timestep', 'identity', 'projection', 'simple_projection'] as const;

/** The common part of the two configurations, one entry per block where blocks differ. */
export interface UnetSizes {
  channels: readonly number[];
  downBlocks: readonly (typeof DOWN_BLOCKS)[number][];
  midBlock: (typeof MID_BLOCKS)[number] | undefined;
  /** Resnets per down block. */
  layers: readonly number[];
  heads: readonly number[];
  /** Channels per head in `Attn…Block2D` blocks, the only ones that read the key by its name. */
  headWidths: readonly (number | undefined)[];
  /** Transformer blocks of each layer of each down block. */
  transformerLayers: readonly (number | readonly number[])[];
  onlyCrossAttention: readonly boolean[];
  contextWidth: number;
  timeWidth: number;
  downsamplePadding: number;
  midScale: number;
  linearProjection: boolean;
  upcastAttention: boolean;
  resnet: ResnetSettings;
  activation: Activation;
  sinusoid: Sinusoid;
}

/** Where an image's latents are as large as the session's inputs say, or as large as given here. */
export interface LatentSize {
  batch?: number;
  /** Cells. */
  height?: number;
  width?: number;
}

/** Reads and checks the common part. */
export function readUnetSizes(config: ConfigReader): UnetSizes {
  config.requireOnly({
    dual_cross_attention: false,
    cross_attention_norm: null,
    attention_type: 'default',
    time_embedding_type: 'positional',
    class_embeddings_concat: false,
    encoder_hid_dim_type: null,
  });
  const channels = config.numbers('block_out_channels', [320, 640, 1280, 1280]);
  const count = channels.length;
  const [first = 0] = channels;
  const downBlocks = config.words('down_block_types', DOWN_BLOCKS, [
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'DownBlock2D',
  ]);
  if (downBlocks.length !== count) {
    throw new AppError(
      'invalid_request',
      `down_block_types has ${downBlocks.length} entries for ${count} blocks.`,
    );
  }
  const activation = config.activation('act_fn', 'silu');
  return {
    channels,
    downBlocks,
    midBlock: config.isNull('mid_block_type')
      ? undefined
      : config.word('mid_block_type', MID_BLOCKS, 'UNetMidBlock2DCrossAttn'),
    layers: config.perBlock('layers_per_block', count, 2),
    // What `attention_head_dim` holds is the number of heads: an old mistake of diffusers that all checkpoints keep.
    heads: config.perBlock(
      config.has('num_attention_heads') ? 'num_attention_heads' : 'attention_head_dim',
      count,
      8,
    ),
    headWidths: config.isNull('attention_head_dim') ? [] : config.perBlock('attention_head_dim', count, 8),
    transformerLayers: transformerLayers(config, 'transformer_layers_per_block', count),
    onlyCrossAttention: config.flagPerBlock('only_cross_attention', count),
    contextWidth: Math.max(...config.perBlock('cross_attention_dim', count, 1280)),
    timeWidth: config.number('time_embedding_dim', first * 4),
    downsamplePadding: config.number('downsample_padding', 1),
    midScale: config.number('mid_block_scale_factor', 1),
    linearProjection: config.boolean('use_linear_projection', false),
    upcastAttention: config.boolean('upcast_attention', false),
    resnet: {
      groups: config.number('norm_num_groups', 32),
      epsilon: config.number('norm_eps', 1e-5),
      activation,
      timeScaleShift: config.word('resnet_time_scale_shift', ['default', 'scale_shift'], 'default'),
      outputScale: 1,
    },
    activation,
    sinusoid: {
      width: first,
      flip_sin_to_cos: config.boolean('flip_sin_to_cos', true),
      freq_shift: config.number('freq_shift', 0),
    },
  };
}

/** `transformer_layers_per_block` and its reversed sister: a number, one per block, or one per layer of each block. */
export function transformerLayers(
  config: ConfigReader,
  key: string,
  count: number,
): readonly (number | readonly number[])[] {
  if (!config.isList(key)) return config.perBlock(key, count, 1);
  return config.list(key).map((entry) => {
    const numbers: readonly unknown[] = Array.isArray(entry) ? entry : [entry];
    if (!numbers.every((number) => typeof number === 'number')) throw config.unsupported(key);
    return Array.isArray(entry) ? numbers : (numbers[0] ?? 1);
  });
}

/** What a transformer of a block is built with. */
export function transformerSettings(
  sizes: UnetSizes,
  {
    block,
    layer,
    layers = sizes.transformerLayers,
    heads = sizes.heads[block],
    onlyCrossAttention,
  }: {
    block: number;
    layer: number;
    layers?: UnetSizes['transformerLayers'];
    heads?: number | undefined;
    onlyCrossAttention: boolean;
  },
): TransformerSettings {
  const count = layers[block];
  return {
    heads: heads ?? 8,
    layers: (typeof count === 'number' ? count : count?.[layer]) ?? 1,
    groups: sizes.resnet.groups,
    linearProjection: sizes.linearProjection,
    upcastAttention: sizes.upcastAttention,
    onlyCrossAttention,
  };
}

/** Declares the inputs common to both: `sample`, `timestep` float32 [1], `encoder_hidden_states`. */
export function unetInputs(
  graph: Graph,
  sizes: UnetSizes,
  { channels, size = {} }: { channels: number; size?: LatentSize | undefined },
): { sample: Value; timestep: Value; text: Value; batch: Dimension } {
  const batch = size.batch ?? 'batch';
  return {
    batch,
    sample: graph.input('sample', 'float32', [
      batch,
      channels,
      size.height ?? 'height',
      size.width ?? 'width',
    ]),
    timestep: graph.preciseInput('timestep', [1]),
    text: graph.input('encoder_hidden_states', 'float32', [batch, 'sequence', sizes.contextWidth]),
  };
}

/**
 * The embedded timestep with everything the configuration adds to it, after the activation every resnet applies:
 * `[1 or batch, timeWidth]`. Declares the inputs `timestep_cond`, `class_labels`, `text_embeds` and `time_ids`
 * where the configuration has them.
 */
export function embedTime(
  graph: Graph,
  config: ConfigReader,
  {
    sizes,
    timestep,
    batch,
    timeIds,
  }: { sizes: UnetSizes; timestep: Value; batch: Dimension; timeIds?: number | undefined },
): Value {
  const { timeWidth: width, activation, sinusoid } = sizes;
  const conditionWidth = config.optionalNumber('time_cond_proj_dim');
  let embedded = timestepEmbedding(graph, sinusoidalEmbedding(graph, timestep, sinusoid), 'time_embedding', {
    width,
    activation,
    ...(conditionWidth && { condition: graph.input('timestep_cond', 'float32', [batch, conditionWidth]) }),
  });
  if (config.has('timestep_post_act'))
    embedded = activate(graph, embedded, config.activation('timestep_post_act'));
  const label = embedClass(graph, config, { sizes, batch });
  if (label) embedded = add(graph, embedded, label);
  if (config.has('addition_embed_type')) {
    config.word('addition_embed_type', ['text_time']);
    embedded = add(graph, embedded, embedTextAndTimeIds(graph, config, { sizes, batch, timeIds }));
  }
  if (config.has('time_embedding_act_fn')) {
    embedded = activate(graph, embedded, config.activation('time_embedding_act_fn'));
  }
  return activate(graph, embedded, activation);
}

/** SDXL's addition: the pooled prompt and the sizes of the image. */
function embedTextAndTimeIds(
  graph: Graph,
  config: ConfigReader,
  { sizes, batch, timeIds }: { sizes: UnetSizes; batch: Dimension; timeIds?: number | undefined },
): Value {
  const idWidth = config.number('addition_time_embed_dim');
  const inputWidth = config.number('projection_class_embeddings_input_dim');
  // The SDXL refiner, known by its 2560 inputs, takes five numbers (with an aesthetic score) instead of six.
  const idCount = timeIds ?? (inputWidth === 2560 && idWidth === 256 ? 5 : 6);
  const textWidth = inputWidth - idCount * idWidth;
  const text = graph.input('text_embeds', 'float32', [batch, textWidth]);
  const ids = graph.preciseInput('time_ids', [batch, idCount]);
  const waves = sinusoidalEmbedding(graph, ids, { ...sizes.sinusoid, width: idWidth });
  const both = concat(graph, [text, graph.reshape(waves, [batch, idCount * idWidth])], 1);
  return timestepEmbedding(graph, both, 'add_embedding', { width: sizes.timeWidth, activation: 'silu' });
}

function embedClass(
  graph: Graph,
  config: ConfigReader,
  { sizes, batch }: { sizes: UnetSizes; batch: Dimension },
): Value | undefined {
  const { timeWidth: width, activation, sinusoid } = sizes;
  if (!config.has('class_embed_type')) {
    const classes = config.optionalNumber('num_class_embeds');
    if (classes === undefined) return undefined;
    const labels = graph.input('class_labels', 'int32', [batch]);
    return gather(graph, graph.parameter('class_embedding.weight', [classes, width]), labels);
  }
  const type = config.word('class_embed_type', CLASS_EMBEDDINGS);
  if (type === 'timestep') {
    const waves = sinusoidalEmbedding(graph, graph.preciseInput('class_labels', [batch]), sinusoid);
    return timestepEmbedding(graph, waves, 'class_embedding', { width, activation });
  }
  if (type === 'identity') return graph.input('class_labels', 'float32', [batch, width]);
  const inputWidth = config.number('projection_class_embeddings_input_dim');
  const labels = graph.input('class_labels', 'float32', [batch, inputWidth]);
  return type === 'projection'
    ? timestepEmbedding(graph, labels, 'class_embedding', { width, activation: 'silu' })
    : linear(graph, labels, 'class_embedding', { out: width });
}

/**
 * The down blocks. Returns the result and every intermediate that the up blocks or ControlNet outputs read, the
 * input first. `adapter` holds one T2I-Adapter feature per block.
 */
export function downBlocks(
  graph: Graph,
  input: Value,
  {
    sizes,
    time,
    context,
    adapter = [],
  }: {
    sizes: UnetSizes;
    time: Value;
    context: TransformerContext;
    adapter?: readonly Value[];
  },
): { hidden: Value; skips: Value[] } {
  let hidden = input;
  const skips = [input];
  const last = sizes.channels.length - 1;
  sizes.channels.forEach((out, block) => {
    const name = `down_blocks.${block}`;
    const attends = sizes.downBlocks[block] === 'CrossAttnDownBlock2D';
    const layers = sizes.layers[block] ?? 1;
    const feature = adapter[block];
    for (let layer = 0; layer < layers; layer++) {
      hidden = resnetBlock(graph, hidden, `${name}.resnets.${layer}`, { out, time, settings: sizes.resnet });
      if (attends) {
        const settings = transformerSettings(sizes, {
          block,
          layer,
          onlyCrossAttention: sizes.onlyCrossAttention[block] ?? false,
        });
        hidden = transformer2d(graph, hidden, `${name}.attentions.${layer}`, settings, context);
      } else if (sizes.downBlocks[block] === 'AttnDownBlock2D') {
        const heads = out / (sizes.headWidths[block] ?? out);
        hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { ...sizes.resnet, heads });
      }
      if (feature && attends && layer === layers - 1) hidden = add(graph, hidden, feature);
      skips.push(hidden);
    }
    if (block !== last) {
      hidden = downsample(graph, hidden, `${name}.downsamplers.0`, sizes.downsamplePadding);
      skips.push(hidden);
    }
    if (feature && !attends) {
      // The reference adds in place, so that the skip connection sees it too.
      hidden = add(graph, hidden, feature);
      skips[skips.length - 1] = hidden;
    }
  });
  return { hidden, skips };
}

/** The mid block, or the value itself where the configuration has none. */
export function midBlock(
  graph: Graph,
  input: Value,
  { sizes, time, context }: { sizes: UnetSizes; time: Value; context: TransformerContext },
): Value {
  if (sizes.midBlock === undefined) return input;
  const block = sizes.channels.length - 1;
  const settings = { ...sizes.resnet, outputScale: sizes.midScale };
  const resnet = (value: Value, index: number) =>
    resnetBlock(graph, value, `mid_block.resnets.${index}`, {
      out: sizes.channels[block] ?? 0,
      time,
      settings,
    });
  const first = resnet(input, 0);
  if (sizes.midBlock === 'UNetMidBlock2D') return first;
  const transformer = transformerSettings(sizes, {
    block,
    layer: 0,
    onlyCrossAttention: false,
  });
  return resnet(transformer2d(graph, first, 'mid_block.attentions.0', transformer, context), 1);
}

/** Diffusers' Downsample2D: a convolution of stride 2; padding 0 stands for one row and column at the far side. */
export function downsample(graph: Graph, input: Value, name: string, padding: number): Value {
  const out = Number(input.shape[1]);
  return conv2d(graph, input, `${name}.conv`, { out, stride: 2, padding: padding === 0 ? [0, 1] : padding });
}
