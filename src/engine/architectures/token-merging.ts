import type { Graph, Value } from '#engine/graph/graph.ts';

/** Token merging for Stable Diffusion (Bolya and Hoffman 2023, arXiv 2303.17604). */
export interface TokenMerging {
  ratio: number;
  /** Merge where the picture is at most this many times smaller than the latents: 1, 2, 4 or 8. */
  maximumDownsample: 1 | 2 | 4 | 8;
}

export interface TokenMerger {
  fits(image: Value): boolean;
  merge(graph: Graph, tokens: Value): { merged: Value; unmerge: (tokens: Value) => Value };
}
export function createTokenMerger(_options: TokenMerging, _sample: Value): TokenMerger {
  throw new Error('later');
}
