import { readFileSync } from 'node:fs';
import type { ImagePromptSpec } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { randomTensors, tensorsOf } from './random-weights.ts';
import { addOnPack, fileOf, type FilledPack } from './tiny-packs.ts';

const fixture = (path: string) => new Blob([readFileSync(new URL(`../fixtures/${path}`, import.meta.url))]);

/** Numbers of the reference's tiny image encoder: in its embedding and in each patch. */
const WIDTH = 32;

/** The cross-attentions of the reference's tiny UNet, in the order of IP-Adapter files, by their widths. */
const ATTENTIONS = [16, 16, 16, 32];

type Shapes = Record<string, number[]>;

/** The two halves of an attention's keys and values for a UNet whose cross-attentions are so wide. */
export function ipAdapterShapes(attentions: readonly number[], context: number): Shapes {
  return Object.fromEntries(
    attentions.flatMap((width, index) =>
      ['to_k_ip', 'to_v_ip'].map((part) => [`ip_adapter.${2 * index + 1}.${part}.weight`, [width, context]]),
    ),
  );
}

/** Weight and bias of a layer. */
const layer = (name: string, out: number, ...inputs: number[]): Shapes => ({
  [`${name}.weight`]: [out, ...inputs],
  [`${name}.bias`]: [out],
});

/** The projections of IP-Adapter files. Source: tencent-ailab/IP-Adapter, ip_adapter/ip_adapter.py and resampler.py. */
export const projectionShapes = {
  plain: (input: number, context: number, tokens = 4): Shapes => ({
    ...layer('image_proj.proj', tokens * context, input),
    ...layer('image_proj.norm', context),
  }),
  plus: (input: number, context: number): Shapes => ({
    'image_proj.latents': [1, 3, 64],
    ...layer('image_proj.proj_in', 64, input),
    ...layer('image_proj.layers.0.0.norm1', 64),
    ...layer('image_proj.layers.0.0.norm2', 64),
    'image_proj.layers.0.0.to_q.weight': [64, 64],
    'image_proj.layers.0.0.to_kv.weight': [128, 64],
    'image_proj.layers.0.0.to_out.weight': [64, 64],
    ...layer('image_proj.layers.0.1.0', 64),
    'image_proj.layers.0.1.1.weight': [128, 64],
    'image_proj.layers.0.1.3.weight': [64, 128],
    ...layer('image_proj.proj_out', context, 64),
    ...layer('image_proj.norm_out', context),
  }),
  full: (input: number, context: number): Shapes => ({
    ...layer('image_proj.proj.0', input, input),
    ...layer('image_proj.proj.2', context, input),
    ...layer('image_proj.proj.3', context),
  }),
};

export type IpAdapterLayout = keyof typeof projectionShapes;

/** The tensors of an IP-Adapter with pseudo-random weights, in one of the published layouts. */
export function ipAdapterTensors(
  layout: IpAdapterLayout,
  {
    input = WIDTH,
    context = WIDTH,
    attentions = ATTENTIONS,
  }: { input?: number; context?: number; attentions?: readonly number[] } = {},
): TensorSource {
  return tensorsOf(
    randomTensors({ ...projectionShapes[layout](input, context), ...ipAdapterShapes(attentions, context) }),
  );
}

/** The reference's tiny IP-Adapter for the tiny model of tiny-control.ts. */
export function referenceIpAdapter(): Promise<FilledPack<AddOnPack>> {
  return addOnPack('ip-adapter', 'ip', fixture('images/ip-adapter/ip-adapter.safetensors'), {
    family: 'sd1',
  });
}

/** An IP-Adapter of one of the layouts for the same model. */
export async function tinyIpAdapter(
  layout: IpAdapterLayout,
  sizes: Parameters<typeof ipAdapterTensors>[1] = {},
): Promise<FilledPack<AddOnPack>> {
  return addOnPack('ip-adapter', `ip-${layout}`, await fileOf(ipAdapterTensors(layout, sizes)), {
    family: 'sd1',
  });
}

/** The reference's tiny image encoder, which sees 56 × 56 pixels. */
export async function tinyClipVision(): Promise<FilledPack<AddOnPack>> {
  const { pack, files } = await addOnPack(
    'clip-vision',
    'vision',
    fixture('models/clip-vision/model.safetensors'),
  );
  const config = fixture('models/clip-vision/config.json');
  return {
    pack: { ...pack, files: [...pack.files, { path: 'config.json', sizeBytes: config.size, sha256: null }] },
    files: { ...files, 'config.json': config },
  };
}

/** Shapes of an image encoder in the layout of transformers. */
export function clipVisionShapes({
  width = 64,
  layers = 2,
  patch = 8,
  side = 32,
  projection = 48,
}: {
  width?: number;
  layers?: number;
  patch?: number;
  side?: number;
  projection?: number | null;
} = {}): Shapes {
  const shapes: Shapes = {
    'vision_model.embeddings.class_embedding': [width],
    'vision_model.embeddings.patch_embedding.weight': [width, 3, patch, patch],
    'vision_model.embeddings.position_embedding.weight': [(side / patch) ** 2 + 1, width],
    ...layer('vision_model.pre_layrnorm', width),
    ...layer('vision_model.post_layernorm', width),
    ...(projection !== null && { 'visual_projection.weight': [projection, width] }),
  };
  for (let index = 0; index < layers; index++) {
    const name = `vision_model.encoder.layers.${index}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      Object.assign(shapes, layer(`${name}.self_attn.${part}`, width, width));
    Object.assign(shapes, layer(`${name}.layer_norm1`, width), layer(`${name}.layer_norm2`, width));
    Object.assign(
      shapes,
      layer(`${name}.mlp.fc1`, 2 * width, width),
      layer(`${name}.mlp.fc2`, width, 2 * width),
    );
  }
  return shapes;
}

/** Such an encoder with pseudo-random weights. */
export function clipVisionTensors(sizes: Parameters<typeof clipVisionShapes>[0] = {}): TensorSource {
  return tensorsOf(randomTensors(clipVisionShapes(sizes)));
}

/** An image prompt through the packs of this file. */
export function imagePrompt(image: Blob, changes: Partial<ImagePromptSpec> = {}): ImagePromptSpec {
  return { id: 'ip', clipVision: 'vision', image, fit: 'crop', weight: 1, start: 0, end: 1, ...changes };
}
