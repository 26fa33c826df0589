import type { TensorInfo } from './tensor-source.ts';
import type { TensorView } from './tensor-views.ts';

const STEMS: ReadonlyMap<string, string> = new Map([
  ['token_embedding.weight', 'text_model.embeddings.token_embedding.weight'],
  ['positional_embedding', 'text_model.embeddings.position_embedding.weight'],
  ['ln_final.weight', 'text_model.final_layer_norm.weight'],
  ['ln_final.bias', 'text_model.final_layer_norm.bias'],
]);

const LAYER_PARTS: ReadonlyMap<string, string> = new Map([
  ['ln_1', 'layer_norm1'],
  ['ln_2', 'layer_norm2'],
  ['attn.out_proj', 'self_attn.out_proj'],
  ['mlp.c_fc', 'mlp.fc1'],
  ['mlp.c_proj', 'mlp.fc2'],
]);

/** The order of the three projections in OpenCLIP's `in_proj`. */
const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj'] as const;

/**
 * A tensor of an OpenCLIP text encoder (mlfoundations/open_clip, src/open_clip/transformer.py) under the names of
 * transformers' CLIPTextModelWithProjection: `in_proj` becomes three, `text_projection` is the other way round there.
 * No views for what transformers does not have (`logit_scale`, the vision tower).
 *
 * @param name Without the checkpoint's prefix: `transformer.resblocks.0.attn.in_proj_weight`.
 */
export function openClipViews(name: string, { name: original, shape }: TensorInfo): TensorView[] {
  const stem = STEMS.get(name);
  if (stem) return [{ name: stem, original, shape }];
  if (name === 'text_projection') {
    return [{ name: 'text_projection.weight', original, shape: shape.toReversed(), transposed: true }];
  }
  const found = /^transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)$/.exec(name);
  if (!found) return [];
  const [, layer, module = '', parameter] = found;
  const path = `text_model.encoder.layers.${layer}`;
  if (module === 'attn.in_proj') {
    const [rows = 0, ...rest] = shape;
    if (rows % 3 !== 0) return [];
    const elements = (rows / 3) * rest.reduce((product, size) => product * size, 1);
    return PROJECTIONS.map((projection, i) => ({
      name: `${path}.self_attn.${projection}.${parameter}`,
      original,
      shape: [rows / 3, ...rest],
      start: i * elements,
    }));
  }
  const part = LAYER_PARTS.get(module);
  return part ? [{ name: `${path}.${part}.${parameter}`, original, shape }] : [];
}

/**
 * The name in transformers of a tensor of its own CLIP text encoder in a checkpoint, or undefined for the position
 * numbers some versions stored. Early versions, and files made with them, lacked the outer `text_model`.
 */
export function clipTextName(name: string): string | undefined {
  if (name.endsWith('embeddings.position_ids')) return undefined;
  return /^(?:embeddings|encoder|final_layer_norm)\./.test(name) ? `text_model.${name}` : name;
}
