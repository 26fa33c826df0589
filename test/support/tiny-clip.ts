import type { TensorSource } from '#weights/tensor-source.ts';
import type { ConfigFile } from '#protocol/model.ts';
import { randomTensors, tensorsOf } from './random-weights.ts';

/** Sizes of a CLIP text encoder. */
export interface ClipSizes {
  width: number;
  layers: number;
  /** Width of the pooled output, for encoders that have one. */
  projection?: number;
}

const VOCABULARY = 49_408;

/** The configuration of such an encoder, as transformers writes it. */
export function clipConfig({ width, layers, projection }: ClipSizes): ConfigFile {
  return {
    architectures: [projection === undefined ? 'CLIPTextModel' : 'CLIPTextModelWithProjection'],
    // As most repositories have it: the largest id ends the text.
    eos_token_id: 2,
    hidden_act: 'quick_gelu',
    hidden_size: width,
    intermediate_size: 2 * width,
    max_position_embeddings: 77,
    num_attention_heads: 2,
    num_hidden_layers: layers,
    projection_dim: projection ?? width,
    vocab_size: VOCABULARY,
  };
}

/** A CLIP text encoder with CLIP's vocabulary and pseudo-random weights, under the names of transformers. */
export function tinyClip({ width, layers, projection }: ClipSizes): TensorSource {
  const shapes: Record<string, readonly number[]> = {
    'text_model.embeddings.token_embedding.weight': [VOCABULARY, width],
    'text_model.embeddings.position_embedding.weight': [77, width],
    'text_model.final_layer_norm.weight': [width],
    'text_model.final_layer_norm.bias': [width],
    ...(projection !== undefined && { 'text_projection.weight': [projection, width] }),
  };
  const layer = (name: string, out: number, ...inputs: number[]) => {
    shapes[`${name}.weight`] = [out, ...inputs];
    shapes[`${name}.bias`] = [out];
  };
  for (let index = 0; index < layers; index++) {
    const path = `text_model.encoder.layers.${index}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      layer(`${path}.self_attn.${part}`, width, width);
    layer(`${path}.mlp.fc1`, 2 * width, width);
    layer(`${path}.mlp.fc2`, width, 2 * width);
    layer(`${path}.layer_norm1`, width);
    layer(`${path}.layer_norm2`, width);
  }
  return tensorsOf(randomTensors(shapes));
}
