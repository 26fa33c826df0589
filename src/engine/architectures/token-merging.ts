import type { Graph, Value } from '#engine/graph/graph.ts';
import {
  add,
  concat,
  divide,
  equal,
  gatherAlong,
  gatherRows,
  matmul,
  multiply,
  reduce,
  scale,
  slice,
  topK,
  transpose,
} from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';

/**
 * Token merging for Stable Diffusion (Bolya and Hoffman 2023, arXiv 2303.17604): tokens much like a neighbour go
 * through self-attention as one. As the reference program dbolya/tomesd without randomness, which is how A1111 uses it.
 */
export interface TokenMerging {
  /** The part of the tokens that is merged away, at most 0.75. */
  ratio: number;
  /** Merge where the image is at most so many times smaller than the latents. The reference's default is 1. */
  maximumDownsample?: 1 | 2 | 4 | 8;
}

export interface TokenMerger {
  /** Whether tokens of this image are merged. */
  fits(image: Value): boolean;
  /** Pairs up the tokens `[batch, height·width, channels]` of an image by their likeness. */
  pair(
    graph: Graph,
    tokens: Value,
    image: Value,
  ): { merge: (tokens: Value) => Value; unmerge: (tokens: Value) => Value };
}

/** @throws AppError `invalid_request` unless the ratio is from 0 to 0.75 and height and width are known numbers */
export function createTokenMerger(
  { ratio, maximumDownsample = 1 }: TokenMerging,
  sample: Value,
): TokenMerger {
  if (!(ratio >= 0 && ratio <= 0.75)) {
    throw new AppError('invalid_request', 'The ratio of token merging must be from 0 to 0.75.');
  }
  const [fullHeight, fullWidth] = sides(sample);
  return {
    fits(image) {
      const [height, width] = sides(image);
      const downsample = Math.ceil(Math.sqrt((fullHeight * fullWidth) / (height * width)));
      return downsample <= maximumDownsample && Math.floor(height * width * ratio) > 0;
    },
    pair(graph, tokens, image) {
      const [height, width] = sides(image);
      return pairTokens(graph, tokens, { height, width, ratio });
    },
  };
}

function pairTokens(
  graph: Graph,
  tokens: Value,
  { height, width, ratio }: { height: number; width: number; ratio: number },
): ReturnType<TokenMerger['pair']> {
  const { sources, targets, places } = partition(height, width);
  const merged = Math.min(sources.length, Math.floor(height * width * ratio));
  const kept = sources.length - merged;

  // Cosine likeness of every source to every target; the most alike sources are merged.
  const length = graph.node('Sqrt', [reduce(graph, 'ReduceSum', multiply(graph, tokens, tokens), [2])], {
    type: tokens.type,
    shape: [...tokens.shape.slice(0, 2), 1],
  });
  const directions = divide(graph, tokens, length);
  const likeness = matmul(
    graph,
    gatherAlong(graph, directions, sources, 1),
    transpose(graph, gatherAlong(graph, directions, targets, 1), [0, 2, 1]),
  );
  const best = reduce(graph, 'ReduceMax', likeness, [2]);
  const mergedIndices = topK(graph, best, 1, { count: merged, largest: true });
  const keptIndices = kept > 0 ? topK(graph, best, 1, { count: kept, largest: false }) : undefined;

  // Which target each merged source goes to, as rows of 0 … 1 … 0; ties share.
  const hits = equal(
    graph,
    gatherRows(graph, likeness, mergedIndices),
    gatherRows(graph, best, mergedIndices),
  );
  const assignment = divide(graph, hits, reduce(graph, 'ReduceSum', hits, [2]));
  const assignmentTo = transpose(graph, assignment, [0, 2, 1]);
  const members = add(graph, reduce(graph, 'ReduceSum', assignmentTo, [2]), graph.floats([1], []));

  // Where in (kept, merged) each source is now: the order of sorted positions. Positions travel as floats, for
  // int64 arithmetic has no WebGPU kernels.
  const positions = add(
    graph,
    scale(graph, best, 0),
    graph.floats(Float32Array.from(sources.keys()), [sources.length, 1]),
  );
  const order = [...(keptIndices ? [keptIndices] : []), mergedIndices];
  const moved = concat(
    graph,
    order.map((indices) => gatherRows(graph, positions, indices)),
    1,
  );
  const inverse = topK(graph, moved, 1, { count: sources.length, largest: false });

  return {
    merge(values) {
      const from = gatherAlong(graph, values, sources, 1);
      const to = gatherAlong(graph, values, targets, 1);
      const sum = add(graph, to, matmul(graph, assignmentTo, gatherRows(graph, from, mergedIndices)));
      const means = divide(graph, sum, members);
      return keptIndices ? concat(graph, [gatherRows(graph, from, keptIndices), means], 1) : means;
    },
    unmerge(values) {
      const to = slice(graph, values, 1, { start: kept, size: targets.length });
      const copies = matmul(graph, assignment, to);
      const keptValues = kept > 0 ? [slice(graph, values, 1, { start: 0, end: kept, size: kept })] : [];
      const from = gatherRows(graph, concat(graph, [...keptValues, copies], 1), inverse);
      return gatherAlong(graph, concat(graph, [from, to], 1), places, 1);
    },
  };
}

/** The first token of each 2 × 2 square is a target, the rest are sources; `places` puts both back in order. */
function partition(
  height: number,
  width: number,
): { sources: number[]; targets: number[]; places: number[] } {
  const sources: number[] = [];
  const targets: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isTarget = y % 2 === 0 && x % 2 === 0 && y + 1 < height && x + 1 < width;
      (isTarget ? targets : sources).push(y * width + x);
    }
  }
  const places = new Array<number>(height * width).fill(0);
  [...sources, ...targets].forEach((token, index) => (places[token] = index));
  return { sources, targets, places };
}

function sides(image: Value): [height: number, width: number] {
  const [, , height, width] = image.shape;
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new AppError('invalid_request', 'Token merging needs graphs of a fixed height and width.');
  }
  return [height, width];
}
