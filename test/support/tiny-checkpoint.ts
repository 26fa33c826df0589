import { fromFloat32, type FloatType } from '#engine/weights/casts.ts';
import { writeSafetensors } from '#engine/weights/safetensors-source.ts';
import { elementCount, type TensorSource, type TensorType } from '#engine/weights/tensor-source.ts';
import { pseudoRandom } from './random-weights.ts';

type Shapes = Record<string, readonly number[]>;

/** As wide as SD 1's, by which it is recognised; everything else is as small as the structure allows. */
const CONTEXT = 768;
const UNET_CHANNELS = [32, 64, 64, 64] as const;
const UNET_LAYERS = 1;
const TIME = 4 * UNET_CHANNELS[0];
const VAE_CHANNELS = 32;
const VAE_LEVELS = 4;
const TEXT_LAYERS = 2;
const TEXT_INNER = 256;

/** Weight and bias of a layer. */
function layer(shapes: Shapes, name: string, out: number, ...inputs: number[]): void {
  shapes[`${name}.weight`] = [out, ...inputs];
  shapes[`${name}.bias`] = [out];
}

function unetResnet(shapes: Shapes, path: string, from: number, to: number): void {
  layer(shapes, `${path}.in_layers.0`, from);
  layer(shapes, `${path}.in_layers.2`, to, from, 3, 3);
  layer(shapes, `${path}.emb_layers.1`, to, TIME);
  layer(shapes, `${path}.out_layers.0`, to);
  layer(shapes, `${path}.out_layers.3`, to, to, 3, 3);
  if (from !== to) layer(shapes, `${path}.skip_connection`, to, from, 1, 1);
}

function unetTransformer(shapes: Shapes, path: string, width: number): void {
  layer(shapes, `${path}.norm`, width);
  layer(shapes, `${path}.proj_in`, width, width, 1, 1);
  const block = `${path}.transformer_blocks.0`;
  for (const [attention, context] of [
    ['attn1', width],
    ['attn2', CONTEXT],
  ] as const) {
    shapes[`${block}.${attention}.to_q.weight`] = [width, width];
    shapes[`${block}.${attention}.to_k.weight`] = [width, context];
    shapes[`${block}.${attention}.to_v.weight`] = [width, context];
    layer(shapes, `${block}.${attention}.to_out.0`, width, width);
  }
  layer(shapes, `${block}.ff.net.0.proj`, 8 * width, width);
  layer(shapes, `${block}.ff.net.2`, width, 4 * width);
  for (const norm of ['norm1', 'norm2', 'norm3']) layer(shapes, `${block}.${norm}`, width);
  layer(shapes, `${path}.proj_out`, width, width, 1, 1);
}

/** The half of a UNet that a ControlNet has as well. Source: CompVis/stable-diffusion, openaimodel.py. */
function encoderShapes(inputChannels: number): { shapes: Shapes; skips: number[]; width: number } {
  const shapes: Shapes = {};
  const last = UNET_CHANNELS.length - 1;
  layer(shapes, 'time_embed.0', TIME, UNET_CHANNELS[0]);
  layer(shapes, 'time_embed.2', TIME, TIME);
  layer(shapes, 'input_blocks.0.0', UNET_CHANNELS[0], inputChannels, 3, 3);
  const skips: number[] = [UNET_CHANNELS[0]];
  let width: number = UNET_CHANNELS[0];
  let block = 1;
  for (const [level, channels] of UNET_CHANNELS.entries()) {
    for (let index = 0; index < UNET_LAYERS; index++, block++) {
      unetResnet(shapes, `input_blocks.${block}.0`, width, channels);
      width = channels;
      if (level < last) unetTransformer(shapes, `input_blocks.${block}.1`, width);
      skips.push(width);
    }
    if (level === last) continue;
    layer(shapes, `input_blocks.${block++}.0.op`, width, width, 3, 3);
    skips.push(width);
  }
  unetResnet(shapes, 'middle_block.0', width, width);
  unetTransformer(shapes, 'middle_block.1', width);
  unetResnet(shapes, 'middle_block.2', width, width);
  return { shapes, skips, width };
}

function unetShapes(inputChannels: number): Shapes {
  const { shapes, skips, ...encoder } = encoderShapes(inputChannels);
  const last = UNET_CHANNELS.length - 1;
  let { width } = encoder;
  let block = 0;
  for (const [level, channels] of [...UNET_CHANNELS.entries()].reverse()) {
    for (let index = 0; index <= UNET_LAYERS; index++, block++) {
      unetResnet(shapes, `output_blocks.${block}.0`, width + (skips.pop() ?? 0), channels);
      width = channels;
      if (level < last) unetTransformer(shapes, `output_blocks.${block}.1`, width);
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
  const { shapes, skips, width } = encoderShapes(4);
  const hint = [16, 16, 32, 32, 96, 96, 256, UNET_CHANNELS[0]];
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
function clipTextShapes(vocabulary: number): Shapes {
  const shapes: Shapes = {
    'embeddings.token_embedding.weight': [vocabulary, CONTEXT],
    'embeddings.position_embedding.weight': [77, CONTEXT],
  };
  for (let index = 0; index < TEXT_LAYERS; index++) {
    const path = `encoder.layers.${index}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      layer(shapes, `${path}.self_attn.${part}`, CONTEXT, CONTEXT);
    layer(shapes, `${path}.mlp.fc1`, TEXT_INNER, CONTEXT);
    layer(shapes, `${path}.mlp.fc2`, CONTEXT, TEXT_INNER);
    layer(shapes, `${path}.layer_norm1`, CONTEXT);
    layer(shapes, `${path}.layer_norm2`, CONTEXT);
  }
  layer(shapes, 'final_layer_norm', CONTEXT);
  return shapes;
}

/** Norms are near 1, biases small, and weights keep the size of what goes through them. */
function randomValues(name: string, shape: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const count = elementCount(shape);
  const numbers = pseudoRandom(count, seed);
  const isWeight = name.endsWith('.weight');
  const scale = name.includes('_embedding.')
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
  type?: FloatType;
  /** Rows of the token embedding; with fewer than CLIP's it cannot encode prompts, but is small. */
  vocabulary?: number;
  /** 4, or 9 for a UNet that inpaints. */
  inputChannels?: 4 | 9;
  metadata?: Readonly<Record<string, string>>;
}

/**
 * An SD 1 checkpoint in one file, as people have them: UNet, VAE and CLIP text encoder under their original names, and
 * two tensors that no network needs. Structure and text width are SD 1's, channels and layers as few as that allows;
 * the weights are pseudo-random and the same each time. With the whole vocabulary it is 94 MB in float16, with a
 * vocabulary of 1000 19 MB.
 */
export async function tinyCheckpoint({
  type = 'float16',
  vocabulary = 49_408,
  inputChannels = 4,
  metadata = { format: 'pt' },
}: TinyCheckpointOptions = {}): Promise<Blob> {
  const shapes = new Map<string, readonly number[]>();
  for (const [prefix, part] of [
    ['model.diffusion_model.', unetShapes(inputChannels)],
    ['first_stage_model.', autoencoderShapes()],
    ['cond_stage_model.transformer.text_model.', clipTextShapes(vocabulary)],
  ] as const) {
    for (const [name, shape] of Object.entries(part)) shapes.set(prefix + name, shape);
  }
  const POSITIONS = 'cond_stage_model.transformer.text_model.embeddings.position_ids';
  shapes.set(POSITIONS, [1, 77]);
  shapes.set('alphas_cumprod', [1000]);
  return fileOfShapes(shapes, type, metadata, {
    [POSITIONS]: new Uint8Array(BigInt64Array.from({ length: 77 }, (_, index) => BigInt(index)).buffer),
  });
}

/** A ControlNet for a {@link tinyCheckpoint}, under its original names: 0.9 MB in float16. */
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
