import { fromFloat32, type FloatType } from '#weights/casts.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import { elementCount, type TensorSource, type TensorType } from '#weights/tensor-source.ts';
import { pseudoRandom } from './random-weights.ts';

type Shapes = Record<string, readonly number[]>;

/** What tells the families apart, from the checkpoints themselves; everything else is as small as the structure allows. */
const FAMILIES = {
  sd1: { context: 768, channels: [32, 64, 64, 64], linearProjection: false },
  // One head for each 64 channels.
  sd2: { context: 1024, channels: [64, 64, 64, 64], linearProjection: true },
} as const;

type Family = (typeof FAMILIES)[keyof typeof FAMILIES];

const UNET_LAYERS = 1;
/** Times the first channels. */
const TIME = 4;
const VAE_CHANNELS = 32;
const VAE_LEVELS = 4;
const TEXT_LAYERS = 2;
const TEXT_INNER = 256;

/** Weight and bias of a layer. */
function layer(shapes: Shapes, name: string, out: number, ...inputs: number[]): void {
  shapes[`${name}.weight`] = [out, ...inputs];
  shapes[`${name}.bias`] = [out];
}

function unetResnet(shapes: Shapes, path: string, [from, to, time]: readonly [number, number, number]): void {
  layer(shapes, `${path}.in_layers.0`, from);
  layer(shapes, `${path}.in_layers.2`, to, from, 3, 3);
  layer(shapes, `${path}.emb_layers.1`, to, time);
  layer(shapes, `${path}.out_layers.0`, to);
  layer(shapes, `${path}.out_layers.3`, to, to, 3, 3);
  if (from !== to) layer(shapes, `${path}.skip_connection`, to, from, 1, 1);
}

function unetTransformer(shapes: Shapes, path: string, width: number, family: Family): void {
  layer(shapes, `${path}.norm`, width);
  const kernel = family.linearProjection ? [] : [1, 1];
  layer(shapes, `${path}.proj_in`, width, width, ...kernel);
  const block = `${path}.transformer_blocks.0`;
  for (const [attention, context] of [
    ['attn1', width],
    ['attn2', family.context],
  ] as const) {
    shapes[`${block}.${attention}.to_q.weight`] = [width, width];
    shapes[`${block}.${attention}.to_k.weight`] = [width, context];
    shapes[`${block}.${attention}.to_v.weight`] = [width, context];
    layer(shapes, `${block}.${attention}.to_out.0`, width, width);
  }
  layer(shapes, `${block}.ff.net.0.proj`, 8 * width, width);
  layer(shapes, `${block}.ff.net.2`, width, 4 * width);
  for (const norm of ['norm1', 'norm2', 'norm3']) layer(shapes, `${block}.${norm}`, width);
  layer(shapes, `${path}.proj_out`, width, width, ...kernel);
}

/** The half of a UNet that a ControlNet has as well. Source: CompVis/stable-diffusion, openaimodel.py. */
function encoderShapes(
  inputChannels: number,
  family: Family,
): { shapes: Shapes; skips: number[]; width: number } {
  const shapes: Shapes = {};
  const last = family.channels.length - 1;
  const [first] = family.channels;
  const time = TIME * first;
  layer(shapes, 'time_embed.0', time, first);
  layer(shapes, 'time_embed.2', time, time);
  layer(shapes, 'input_blocks.0.0', first, inputChannels, 3, 3);
  const skips: number[] = [first];
  let width: number = first;
  let block = 1;
  for (const [level, channels] of family.channels.entries()) {
    for (let index = 0; index < UNET_LAYERS; index++, block++) {
      unetResnet(shapes, `input_blocks.${block}.0`, [width, channels, time]);
      width = channels;
      if (level < last) unetTransformer(shapes, `input_blocks.${block}.1`, width, family);
      skips.push(width);
    }
    if (level === last) continue;
    layer(shapes, `input_blocks.${block++}.0.op`, width, width, 3, 3);
    skips.push(width);
  }
  unetResnet(shapes, 'middle_block.0', [width, width, time]);
  unetTransformer(shapes, 'middle_block.1', width, family);
  unetResnet(shapes, 'middle_block.2', [width, width, time]);
  return { shapes, skips, width };
}

function unetShapes(inputChannels: number, family: Family): Shapes {
  const { shapes, skips, ...encoder } = encoderShapes(inputChannels, family);
  const last = family.channels.length - 1;
  const time = TIME * family.channels[0];
  let { width } = encoder;
  let block = 0;
  for (const [level, channels] of [...family.channels.entries()].reverse()) {
    for (let index = 0; index <= UNET_LAYERS; index++, block++) {
      unetResnet(shapes, `output_blocks.${block}.0`, [width + (skips.pop() ?? 0), channels, time]);
      width = channels;
      if (level < last) unetTransformer(shapes, `output_blocks.${block}.1`, width, family);
      if (level > 0 && index === UNET_LAYERS) {
        layer(shapes, `output_blocks.${block}.${level < last ? 2 : 1}.conv`, width, width, 3, 3);
      }
    }
  }
  layer(shapes, 'out.0', width);
  layer(shapes, 'out.2', 4, width, 3, 3);
  return shapes;
}

/** lllyasviel/ControlNet, cldm/cldm.py. */
function controlNetShapes(): Shapes {
  const { shapes, skips, width } = encoderShapes(4, FAMILIES.sd1);
  const hint = [16, 16, 32, 32, 96, 96, 256, FAMILIES.sd1.channels[0]];
  hint.forEach((channels, i) => {
    layer(shapes, `input_hint_block.${2 * i}`, channels, hint[i - 1] ?? 3, 3, 3);
  });
  skips.forEach((channels, i) => {
    layer(shapes, `zero_convs.${i}.0`, channels, channels, 1, 1);
  });
  layer(shapes, 'middle_block_out.0', width, width, 1, 1);
  return shapes;
}

/** CompVis/stable-diffusion, ldm/modules/diffusionmodules/model.py. */
function autoencoderShapes(): Shapes {
  const shapes: Shapes = {};
  const width = VAE_CHANNELS;
  const resnet = (path: string) => {
    for (const index of [1, 2]) {
      layer(shapes, `${path}.norm${index}`, width);
      layer(shapes, `${path}.conv${index}`, width, width, 3, 3);
    }
  };
  for (const [side, from, to] of [
    ['encoder', 3, 8],
    ['decoder', 4, 3],
  ] as const) {
    layer(shapes, `${side}.conv_in`, width, from, 3, 3);
    for (let level = 0; level < VAE_LEVELS; level++) {
      const path = `${side}.${side === 'encoder' ? 'down' : 'up'}.${level}`;
      resnet(`${path}.block.0`);
      if (side === 'decoder') resnet(`${path}.block.1`);
      if (side === 'encoder' && level < VAE_LEVELS - 1)
        layer(shapes, `${path}.downsample.conv`, width, width, 3, 3);
      if (side === 'decoder' && level > 0) layer(shapes, `${path}.upsample.conv`, width, width, 3, 3);
    }
    resnet(`${side}.mid.block_1`);
    layer(shapes, `${side}.mid.attn_1.norm`, width);
    for (const part of ['q', 'k', 'v', 'proj_out'])
      layer(shapes, `${side}.mid.attn_1.${part}`, width, width, 1, 1);
    resnet(`${side}.mid.block_2`);
    layer(shapes, `${side}.norm_out`, width);
    layer(shapes, `${side}.conv_out`, to, width, 3, 3);
  }
  layer(shapes, 'quant_conv', 8, 8, 1, 1);
  layer(shapes, 'post_quant_conv', 4, 4, 1, 1);
  return shapes;
}

/** transformers, models/clip/modeling_clip.py. */
function clipTextShapes(vocabulary: number, width: number): Shapes {
  const shapes: Shapes = {
    'embeddings.token_embedding.weight': [vocabulary, width],
    'embeddings.position_embedding.weight': [77, width],
  };
  for (let index = 0; index < TEXT_LAYERS; index++) {
    const path = `encoder.layers.${index}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      layer(shapes, `${path}.self_attn.${part}`, width, width);
    layer(shapes, `${path}.mlp.fc1`, TEXT_INNER, width);
    layer(shapes, `${path}.mlp.fc2`, width, TEXT_INNER);
    layer(shapes, `${path}.layer_norm1`, width);
    layer(shapes, `${path}.layer_norm2`, width);
  }
  layer(shapes, 'final_layer_norm', width);
  return shapes;
}

/** mlfoundations/open_clip, src/open_clip/transformer.py. */
function openClipShapes(vocabulary: number, width: number): Shapes {
  const shapes: Shapes = {
    'token_embedding.weight': [vocabulary, width],
    positional_embedding: [77, width],
    text_projection: [width, width],
    logit_scale: [],
  };
  for (let index = 0; index < TEXT_LAYERS; index++) {
    const path = `transformer.resblocks.${index}`;
    for (const norm of ['ln_1', 'ln_2']) layer(shapes, `${path}.${norm}`, width);
    shapes[`${path}.attn.in_proj_weight`] = [3 * width, width];
    shapes[`${path}.attn.in_proj_bias`] = [3 * width];
    layer(shapes, `${path}.attn.out_proj`, width, width);
    layer(shapes, `${path}.mlp.c_fc`, TEXT_INNER, width);
    layer(shapes, `${path}.mlp.c_proj`, width, TEXT_INNER);
  }
  layer(shapes, 'ln_final', width);
  return shapes;
}

/** Norms are near 1, biases small, and weights keep the size of what goes through them. */
function randomValues(name: string, shape: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const count = elementCount(shape);
  const numbers = pseudoRandom(count, seed);
  const isWeight = /[._]weight$/.test(name);
  const scale = /_embedding(?:\.|$)/.test(name)
    ? 0.05
    : isWeight
      ? Math.sqrt((3 * (shape[0] ?? 1)) / count)
      : 0.02;
  const isNorm = isWeight && shape.length === 1;
  for (let i = 0; i < count; i++)
    numbers[i] = isNorm ? 1 + 0.1 * (numbers[i] ?? 0) : scale * (numbers[i] ?? 0);
  return numbers;
}

/** What is chosen of a {@link tinyCheckpoint}. */
interface TinyCheckpointOptions {
  family?: keyof typeof FAMILIES;
  type?: FloatType;
  /** Rows of the token embedding; with fewer than CLIP's it cannot encode prompts, but is small. */
  vocabulary?: number;
  /** 4, or 9 for a UNet that inpaints. */
  inputChannels?: 4 | 9;
  metadata?: Readonly<Record<string, string>>;
}

/**
 * An SD 1 or SD 2 checkpoint in one file, as people have them: UNet, VAE and text encoder under their original names, and
 * tensors that no network needs. Structure and text width are the family's, channels and layers as few as that allows;
 * the weights are pseudo-random and the same each time. With the whole vocabulary it is 94 MB in float16, with a
 * vocabulary of 1000 19 MB.
 */
export async function tinyCheckpoint({
  family = 'sd1',
  type = 'float16',
  vocabulary = 49_408,
  inputChannels = 4,
  metadata = { format: 'pt' },
}: TinyCheckpointOptions = {}): Promise<Blob> {
  const shapes = new Map<string, readonly number[]>();
  const { context } = FAMILIES[family];
  const parts: readonly (readonly [prefix: string, Shapes])[] = [
    ['model.diffusion_model.', unetShapes(inputChannels, FAMILIES[family])],
    ['first_stage_model.', autoencoderShapes()],
    family === 'sd1'
      ? ['cond_stage_model.transformer.text_model.', clipTextShapes(vocabulary, context)]
      : ['cond_stage_model.model.', openClipShapes(vocabulary, context)],
  ];
  for (const [prefix, part] of parts) {
    for (const [name, shape] of Object.entries(part)) shapes.set(prefix + name, shape);
  }
  const POSITIONS = 'cond_stage_model.transformer.text_model.embeddings.position_ids';
  if (family === 'sd1') shapes.set(POSITIONS, [1, 77]);
  shapes.set('alphas_cumprod', [1000]);
  return fileOfShapes(shapes, type, metadata, {
    [POSITIONS]: new Uint8Array(BigInt64Array.from({ length: 77 }, (_, index) => BigInt(index)).buffer),
  });
}

/** A ControlNet for a {@link tinyCheckpoint}, under its original names: 3.2 MB in float16. */
export function tinyControlNetFile(): Promise<Blob> {
  const shapes = Object.entries(controlNetShapes()).map(
    ([name, shape]) => [`control_model.${name}`, shape] as const,
  );
  return fileOfShapes(new Map(shapes), 'float16', {}, {});
}

/** A file of pseudo-random weights. @param integers the bytes of tensors that are int64 */
async function fileOfShapes(
  shapes: ReadonlyMap<string, readonly number[]>,
  type: FloatType,
  metadata: Readonly<Record<string, string>>,
  integers: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
): Promise<Blob> {
  const names = [...shapes.keys()];
  const typeOf = (name: string): TensorType =>
    name in integers ? 'int64' : name === 'alphas_cumprod' ? 'float32' : type;
  const source: TensorSource = {
    names: () => names,
    info(name) {
      const shape = shapes.get(name);
      return shape && { name, type: typeOf(name), shape };
    },
    read(name) {
      const given = integers[name];
      if (given) return Promise.resolve(given);
      const values = randomValues(name, shapes.get(name) ?? [], 1 + names.indexOf(name));
      return Promise.resolve(fromFloat32(values, name === 'alphas_cumprod' ? 'float32' : type));
    },
  };
  const parts: BlobPart[] = [];
  for await (const part of writeSafetensors(source, metadata)) parts.push(part);
  return new Blob(parts);
}
