import { describe, expect, it } from 'vitest';
import { createBrownianBatch, createBrownianPath } from '#engine/random/brownian.ts';

const SIZE = 4096;

const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
const correlation = (a: Float32Array, b: Float32Array) => mean(a.map((value, i) => value * (b[i] ?? NaN)));

describe('a Brownian path', () => {
  it('has increments of mean 0 and variance 1, however long the step', () => {
    const path = createBrownianPath(1n, SIZE);
    for (const [from, to] of [
      [14.6, 0.03],
      [14.6, 12],
      [1, 0.99],
      [0.04, 0.03],
      [4500, 120],
    ] as const) {
      const noise = path(from, to);
      expect(Math.abs(mean(noise))).toBeLessThan(0.06);
      expect(correlation(noise, noise)).toBeCloseTo(1, 0);
      expect(Math.abs(correlation(noise, noise) - 1)).toBeLessThan(0.1);
    }
  });

  it('makes a long step of the short steps within it, in whatever order they are asked for', () => {
    const sigmas = [14, 9, 5.5, 2, 0.7, 0.05];
    const asked = createBrownianPath(2n, 64);
    const whole = createBrownianPath(2n, 64)(14, 0.05);
    const parts = sigmas.slice(1).map((to, i): [number, number] => [sigmas[i] ?? NaN, to]);
    const noises = new Map([...parts].reverse().map(([from, to]) => [from, asked(from, to)]));
    for (let i = 0; i < 64; i++) {
      const sum = parts.reduce(
        (total, [from, to]) => total + Math.sqrt(from - to) * (noises.get(from)?.[i] ?? NaN),
        0,
      );
      expect(sum / Math.sqrt(14 - 0.05)).toBeCloseTo(whole[i] ?? NaN, 2);
    }
  });

  it('is independent over steps that do not overlap', () => {
    const path = createBrownianPath(3n, SIZE);
    expect(Math.abs(correlation(path(10, 5), path(5, 2)))).toBeLessThan(0.06);
    expect(Math.abs(correlation(path(1, 0.9), path(0.9, 0.8)))).toBeLessThan(0.06);
  });

  it('shares the noise of steps that overlap', () => {
    const path = createBrownianPath(4n, SIZE);
    expect(correlation(path(10, 5), path(10, 7.5))).toBeCloseTo(Math.sqrt(2.5 / 5), 1);
    expect(correlation(path(10, 5), path(5, 10))).toBeCloseTo(-1, 1);
  });

  it('depends on the seed alone, all 64 bits of it', () => {
    expect(createBrownianPath(5n, 16)(8, 4)).toEqual(createBrownianPath(5n, 16)(8, 4));
    const seeds = [5n, 6n, 5n + 2n ** 32n, 2n ** 64n - 1n];
    const firsts = seeds.map((seed) => createBrownianPath(seed, 16)(8, 4)[0]);
    expect(new Set(firsts).size).toBe(seeds.length);
    expect(
      Math.abs(correlation(createBrownianPath(5n, SIZE)(8, 4), createBrownianPath(6n, SIZE)(8, 4))),
    ).toBeLessThan(0.06);
  });

  it('tells even the shortest steps apart', () => {
    const path = createBrownianPath(7n, SIZE);
    for (const [from, to] of [
      [1, 0.999999],
      [0.0001, 0],
      [9000, 8999],
    ] as const) {
      expect(Math.abs(correlation(path(from, to), path(from, to)) - 1)).toBeLessThan(0.1);
    }
  });

  it('gives each picture of a batch its own', () => {
    const batch = createBrownianBatch([8n, 9n], 16)(6, 3);
    expect(batch.slice(0, 16)).toEqual(createBrownianPath(8n, 16)(6, 3));
    expect(batch.slice(16)).toEqual(createBrownianPath(9n, 16)(6, 3));
  });
});
