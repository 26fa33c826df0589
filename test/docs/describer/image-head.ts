import { Graph, type BuiltGraph } from '#engine/graph/graph.ts';
import { conv2d, imageToTokens, layerNorm, linear } from '#engine/graph/layers.ts';
import { gelu, reduce } from '#engine/graph/operators.ts';
import type { TensorSource } from '#weights/tensor-source.ts';

/** Convolutions by their places in the module; those that halve the sides. */
const CONVOLUTIONS = [0, 2, 4, 6, 8, 10];
const HALVING: readonly number[] = [4, 8];

/**
 * The image half of the pair whose text half is the built-in model's text encoder: standardised latents, `latent_sample` float32
 * [1, 16, 16, 16], to `image_embeds` [1, width], which is compared with `text_embeds` by the cosine.
 */
export function buildImageHead(weights: TensorSource): BuiltGraph {
  const graph = new Graph({ weights, name: 'image_head' });
  const channelsOf = (name: string) => weights.info(`${name}.weight`)?.shape[0] ?? 0;
  let hidden = graph.input('latent_sample', 'float32', [1, 16, 16, 16]);
  for (const index of CONVOLUTIONS) {
    const stride = HALVING.includes(index) ? 2 : 1;
    hidden = gelu(graph, conv2d(graph, hidden, `s.${index}`, { out: channelsOf(`s.${index}`), stride }));
  }
  const mean = reduce(graph, 'ReduceMean', imageToTokens(graph, hidden), [1]);
  const normed = layerNorm(graph, graph.reshape(mean, [1, channelsOf('s.10')]), 'proj.0', 1e-5);
  graph.output('image_embeds', linear(graph, normed, 'proj.1', { out: channelsOf('proj.1') }));
  return graph.build();
}
