import type { NormalGenerator } from './normal-generator.ts';
import { seedSequence } from './seed-sequence.ts';

/** The increment of a Brownian path between two noise levels, divided by its standard deviation. */
export type BrownianPath = (sigmaFrom: number, sigmaTo: number) => Float32Array;

/** What the paths of all images of a run have in common. */
export interface BrownianOptions {
  /** The lowest noise level above 0, and the highest, of the run: the ends of the path. */
  range: readonly [sigmaMin: number, sigmaMax: number];
  /** How many numbers an image's latents have. */
  size: number;
  /** The generator that draws the tree's nodes. */
  generator: (seed: bigint) => NormalGenerator;
}

/** torchsde's defaults: words of the seeds' state, and decimals that times are rounded to. */
const POOL_SIZE = 24;
const DECIMALS = 6;

const { fround } = Math;

/**
 * A Brownian path over sigma for each number of an image's latents: the noise of the SDE samplers. Noise over
 * a long step is the sum of the noises over the short steps within it, for any steps of a run, so that more
 * steps refine an image instead of changing it.
 *
 * The path is a virtual tree (Li et al. 2020, arXiv 2001.01328): the middle of each interval is drawn between its
 * ends, from a generator seeded by `seed` and the node's place. Numbers and rounding are those of k-diffusion's
 * BrownianTreeNoiseSampler on torchsde's BrownianTree (torchsde/_brownian/brownian_interval.py, `halfway_tree`).
 *
 * @param seed 0 … 2^64 − 1
 * @returns increments of variance 1; sigmas outside the range are taken as its ends
 */
export function createBrownianPath(
  seed: bigint,
  { range: [sigmaMin, sigmaMax], size, generator }: BrownianOptions,
): BrownianPath {
  const draw = (node: readonly bigint[]) => {
    const [weightSeed = 0] = seedSequence(seed, node, POOL_SIZE, 1);
    return generator(BigInt(weightSeed)).randn(size);
  };
  const deviation = fround(Math.sqrt(sigmaMax - sigmaMin));
  const root: Interval = {
    start: roundTime(sigmaMin),
    end: roundTime(sigmaMax),
    place: 0n,
    depth: 0n,
    increment: draw([]).map((value) => value * deviation),
    halves: null,
  };
  /** Intervals whose halves are kept: those around the last points requested. */
  let kept: Interval[] = [];

  function halvesOf(interval: Interval): readonly [Interval, Interval] {
    const { start, end, place, depth, increment } = interval;
    if (interval.halves) return interval.halves;
    const middle = roundTime(0.5 * (end + start));
    const before = fround(middle - start);
    const reciprocal = fround(1 / (end - start));
    const spread = fround(Math.sqrt((middle - start) * (end - middle) * (1 / (end - start))));
    const noise = draw([place, depth]);
    const left = new Float32Array(size);
    const right = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const whole = increment[i] ?? 0;
      const mean = fround(fround(before * whole) * reciprocal);
      left[i] = mean + fround(spread * (noise[i] ?? 0));
      right[i] = whole - (left[i] ?? 0);
    }
    const below = { depth: depth + 1n, halves: null };
    interval.halves = [
      { ...below, start, end: middle, place: 2n * place, increment: left },
      { ...below, start: middle, end, place: 2n * place + 1n, increment: right },
    ];
    return interval.halves;
  }

  /** The intervals of the tree that make up a span, in order, and their ancestors. */
  function collect(interval: Interval, from: number, to: number, found: Interval[], above: Interval[]): void {
    if (from <= interval.start && to >= interval.end) {
      found.push(interval);
      return;
    }
    above.push(interval);
    for (const half of halvesOf(interval)) {
      if (from < half.end && to > half.start) collect(half, from, to, found, above);
    }
  }

  const clampTime = (sigma: number) => roundTime(Math.min(Math.max(sigma, root.start), root.end));

  return (sigmaFrom, sigmaTo) => {
    const [low, high] = sigmaFrom < sigmaTo ? [sigmaFrom, sigmaTo] : [sigmaTo, sigmaFrom];
    const found: Interval[] = [];
    const above: Interval[] = [];
    const [from, to] = [clampTime(low), clampTime(high)];
    if (from < to) collect(root, from, to, found, above);
    for (const interval of kept) if (!above.includes(interval)) interval.halves = null;
    kept = above;

    const increment = new Float32Array(size);
    for (const part of found) {
      for (let i = 0; i < size; i++) increment[i] = (increment[i] ?? 0) + (part.increment[i] ?? 0);
    }
    // torch divides float32 sigmas' difference; its root is a float32 too.
    const scale = fround(Math.sqrt(fround(high - low))) * (sigmaFrom < sigmaTo ? 1 : -1);
    return increment.map((value) => value / scale);
  };
}

/** The paths of a batch of images, each with its own seed, image after image. */
export function createBrownianBatch(seeds: readonly bigint[], options: BrownianOptions): BrownianPath {
  const paths = seeds.map((seed) => createBrownianPath(seed, options));
  return (sigmaFrom, sigmaTo) => {
    const batch = new Float32Array(options.size * paths.length);
    for (const [i, path] of paths.entries()) batch.set(path(sigmaFrom, sigmaTo), i * options.size);
    return batch;
  };
}

/** A node of the tree: a span of time with the path's increment over it. */
interface Interval {
  start: number;
  end: number;
  /** Its number among those of its depth, from the left. */
  place: bigint;
  depth: bigint;
  increment: Float32Array;
  /** Made on first use. */
  halves: readonly [Interval, Interval] | null;
}

/** Python's `round(time, 6)`: to the nearest, and halfway to the even digit. */
function roundTime(time: number): number {
  const [down, up] = [Math.floor(time * 10 ** DECIMALS), Math.ceil(time * 10 ** DECIMALS)];
  // Only multiples of 2^-7 are exactly halfway: the product is exact there.
  const isHalfway = time * 10 ** DECIMALS - down === 0.5 && (time * 128) % 1 === 0;
  if (isHalfway) return (down % 2 === 0 ? down : up) / 10 ** DECIMALS;
  return Number(time.toFixed(DECIMALS));
}
