import { createTorchCpuGenerator } from './torch-cpu.ts';

/** Noise levels of the tree's first and last node; sigmas beyond are taken as these. */
const LOWEST = 2 ** -10;
const HIGHEST = 2 ** 13;

/** Intervals of the tree, evenly spaced in log sigma: 0.024 % of a sigma each. */
const NODES = 2 ** 16;

/** The increment of a Brownian path between two noise levels, divided by its standard deviation. */
export type BrownianPath = (sigmaFrom: number, sigmaTo: number) => Float32Array;

/**
 * A Brownian path over sigma for each number of a picture's latents: the noise of the SDE samplers. Noise over
 * a long step is the sum of the noises over the short steps within it, whatever steps a run takes, so more
 * steps refine a picture instead of changing it.
 *
 * The path is a virtual tree (Li et al. 2020, arXiv 2001.01328, section 4): the middle of each interval is
 * drawn between its ends, from a generator seeded by `seed` and the node. k-diffusion's BrownianTreeNoiseSampler
 * does the same with torchsde's tree, whose numbers depend on the interval's ends and are not these.
 *
 * @param seed 0 … 2^64 − 1
 * @param size how many numbers a picture's latents have
 * @returns increments of variance 1; sigmas are moved to the nearest of the tree's nodes
 */
export function createBrownianPath(seed: bigint, size: number): BrownianPath {
  const draw = (node: number) => createTorchCpuGenerator(mixSeed(seed, node)).randn(size);
  const start = new Float64Array(size);
  const end = bridge(start, start, 0, Math.sqrt(HIGHEST - LOWEST), draw(NODES));
  /** Middles met on the way to the last node asked for, from the root down. */
  const trail: Point[] = [];

  function valuesAt(wanted: number): Float64Array {
    let low: Point = { node: 0, values: start };
    let high: Point = { node: NODES, values: end };
    for (let depth = 0; ; depth++) {
      if (wanted === low.node) return low.values;
      if (wanted === high.node) return high.values;
      const node = (low.node + high.node) / 2;
      let middle = trail[depth];
      if (middle?.node !== node) {
        const before = sigmaOf(node) - sigmaOf(low.node);
        const after = sigmaOf(high.node) - sigmaOf(node);
        const share = before / (before + after);
        middle = {
          node,
          values: bridge(low.values, high.values, share, Math.sqrt(share * after), draw(node)),
        };
        trail.length = depth;
        trail.push(middle);
      }
      if (wanted < node) high = middle;
      else low = middle;
    }
  }

  return (sigmaFrom, sigmaTo) => {
    const from = nodeOf(sigmaFrom);
    let to = nodeOf(sigmaTo);
    // Too short a step for the tree: the nearest one that it can tell.
    if (from === to) to += from === NODES || (sigmaTo < sigmaFrom && from > 0) ? -1 : 1;
    const a = valuesAt(from);
    const b = valuesAt(to);
    const span = sigmaOf(to) - sigmaOf(from);
    const scale = 1 / Math.sqrt(Math.abs(span));
    const increment = new Float32Array(size);
    for (let i = 0; i < size; i++) increment[i] = ((b[i] ?? 0) - (a[i] ?? 0)) * scale;
    return increment;
  };
}

/** The paths of a batch of pictures, each with its own seed, picture after picture. */
export function createBrownianBatch(seeds: readonly bigint[], size: number): BrownianPath {
  const paths = seeds.map((seed) => createBrownianPath(seed, size));
  return (sigmaFrom, sigmaTo) => {
    const batch = new Float32Array(size * paths.length);
    for (const [i, path] of paths.entries()) batch.set(path(sigmaFrom, sigmaTo), i * size);
    return batch;
  };
}

function sigmaOf(node: number): number {
  return LOWEST * (HIGHEST / LOWEST) ** (node / NODES);
}

function nodeOf(sigma: number): number {
  const place = (Math.log(sigma / LOWEST) / Math.log(HIGHEST / LOWEST)) * NODES;
  return Math.min(Math.max(Math.round(place), 0), NODES);
}

/** The path's values at a node. */
interface Point {
  node: number;
  values: Float64Array;
}

/** A point between two of the path's, `share` of the way, with fresh noise. */
function bridge(
  low: Float64Array,
  high: Float64Array,
  share: number,
  deviation: number,
  noise: Float32Array,
): Float64Array {
  const values = new Float64Array(noise.length);
  for (let i = 0; i < values.length; i++) {
    const from = low[i] ?? 0;
    values[i] = from + share * ((high[i] ?? 0) - from) + deviation * (noise[i] ?? 0);
  }
  return values;
}

/** A seed of its own for each node: SplitMix64 (Steele et al. 2014) of the path's seed, at the node's place. */
function mixSeed(seed: bigint, node: number): bigint {
  let z = BigInt.asUintN(64, seed + BigInt(node) * 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
