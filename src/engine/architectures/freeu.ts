import type { Graph, Value } from '#engine/graph/graph.ts';
import {
  add,
  concat,
  divide,
  matmul,
  multiply,
  reduce,
  scale,
  slice,
  subtract,
} from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';

/**
 * FreeU (Si et al. 2023, arXiv 2309.11497): the backbone's first half of channels is strengthened (b), the skip
 * connections' lowest frequencies weakened (s), in the two deepest resolutions.
 */
export interface FreeU {
  b1: number;
  b2: number;
  s1: number;
  s2: number;
  /** 1: as diffusers and the paper's first code. 2: the strength follows the mean of the channels (Fooocus, ComfyUI's FreeU_V2). */
  version: 1 | 2;
}

/**
 * Applies FreeU where a skip connection meets the backbone. Version 1 goes by the resolution's index from the
 * deepest (diffusers, utils/torch_utils.py, apply_freeu), version 2 by the backbone's width relative to the
 * network's first (ComfyUI, comfy_extras/nodes_freelunch.py).
 *
 * @throws AppError `invalid_request` unless height and width are known numbers
 */
export function applyFreeU(
  graph: Graph,
  freeU: FreeU,
  {
    hidden,
    skip,
    resolution,
    firstChannels,
  }: { hidden: Value; skip: Value; resolution: number; firstChannels: number },
): { hidden: Value; skip: Value } {
  const widths = [firstChannels * 4, firstChannels * 2];
  const depth = freeU.version === 1 ? resolution : widths.indexOf(Number(hidden.shape[1]));
  if (depth !== 0 && depth !== 1) return { hidden, skip };
  const [backbone, damping] = depth === 0 ? [freeU.b1, freeU.s1] : [freeU.b2, freeU.s2];
  return {
    hidden: strengthenFirstHalf(graph, hidden, backbone, freeU.version),
    skip: scaleLowFrequencies(graph, skip, damping),
  };
}

function strengthenFirstHalf(graph: Graph, hidden: Value, strength: number, version: 1 | 2): Value {
  const channels = Number(hidden.shape[1]);
  const half = Math.floor(channels / 2);
  const first = slice(graph, hidden, 1, { start: 0, end: half, size: half });
  const rest = slice(graph, hidden, 1, { start: half, size: channels - half });
  if (version === 1) return concat(graph, [scale(graph, first, strength), rest], 1);
  const mean = reduce(graph, 'ReduceMean', hidden, [1]);
  const least = reduce(graph, 'ReduceMin', mean, [2, 3]);
  const range = subtract(graph, reduce(graph, 'ReduceMax', mean, [2, 3]), least);
  const relative = divide(graph, subtract(graph, mean, least), range);
  const factor = add(graph, scale(graph, relative, strength - 1), graph.floats([1], []));
  return concat(graph, [multiply(graph, first, factor), rest], 1);
}

/**
 * Multiplies the frequencies -1 and 0 of both axes, what the reference's mask around the centre of the shifted
 * spectrum covers. Instead of transforming there and back, the four frequencies' part of the image is computed
 * with cosine and sine matrices and added `factor - 1` times.
 */
function scaleLowFrequencies(graph: Graph, skip: Value, factor: number): Value {
  const [, , height, width] = skip.shape;
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new AppError('invalid_request', 'FreeU needs graphs of a fixed height and width.');
  }
  const rows = lowFrequencyMatrices(graph, height);
  const columns = lowFrequencyMatrices(graph, width);
  const even = matmul(graph, matmul(graph, rows.cosines, skip), columns.cosines);
  // The transposed sine matrix is its negative: the second product is added, not subtracted.
  const odd = matmul(graph, matmul(graph, rows.sines, skip), columns.sines);
  return add(graph, skip, scale(graph, add(graph, even, odd), factor - 1));
}

/** (1 + cos θ)/n and sin θ/n for θ = 2π(i - j)/n: the real and imaginary part of the filter along one axis. */
function lowFrequencyMatrices(graph: Graph, size: number): { cosines: Value; sines: Value } {
  const cosines = new Float32Array(size * size);
  const sines = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const angle = (2 * Math.PI * (row - column)) / size;
      cosines[row * size + column] = (1 + Math.cos(angle)) / size;
      sines[row * size + column] = Math.sin(angle) / size;
    }
  }
  return { cosines: graph.floats(cosines, [size, size]), sines: graph.floats(sines, [size, size]) };
}
