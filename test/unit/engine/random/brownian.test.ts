import { describe, expect, it } from 'vitest';
import { createBrownianBatch, createBrownianPath } from '#engine/random/brownian.ts';
import { createPhiloxGenerator } from '#engine/random/philox.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { readFixture } from '../../../support/fixtures.ts';

const SIZE = 4096;

const pathOf = (seed: bigint, size: number) =>
  createBrownianPath(seed, { range: [0.03, 4500], size, generator: createTorchCpuGenerator });

interface Reference {
  cases: {
    seed: string;
    range: [number, number];
    size: number;
    increments: { from: number; to: number; noise: number[] }[];
  }[];
}

const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
const correlation = (a: Float32Array, b: Float32Array) => mean(a.map((value, i) => value * (b[i] ?? NaN)));

describe('a Brownian path', () => {
  it.each((readFixture('brownian.json') as Reference).cases)(
    'has the numbers of torchsde for seed $seed',
    ({ seed, range, size, increments }) => {
      const path = createBrownianPath(BigInt(seed), { range, size, generator: createTorchCpuGenerator });
      for (const { from, to, noise } of increments) {
        path(from, to).forEach((value, i) => expect(value).toBeCloseTo(noise[i] ?? NaN, 6));
      }
    },
  );

  it('is another one with another generator, and has no noise outside its range', () => {
    const options = { range: [0.03, 14.6], size: 16 } as const;
    const path = createBrownianPath(1n, { ...options, generator: createPhiloxGenerator });
    expect(path(14.6, 1)).not.toEqual(
      createBrownianPath(1n, { ...options, generator: createTorchCpuGenerator })(14.6, 1),
    );
    expect([...path(20, 15)]).toEqual(new Array(16).fill(-0));
  });

  it('has increments of mean 0 and variance 1, however long the step', () => {
    const path = pathOf(1n, SIZE);
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
    const asked = pathOf(2n, 64);
    const whole = pathOf(2n, 64)(14, 0.05);
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
    const path = pathOf(3n, SIZE);
    expect(Math.abs(correlation(path(10, 5), path(5, 2)))).toBeLessThan(0.06);
    expect(Math.abs(correlation(path(1, 0.9), path(0.9, 0.8)))).toBeLessThan(0.06);
  });

  it('shares the noise of steps that overlap', () => {
    const path = pathOf(4n, SIZE);
    expect(correlation(path(10, 5), path(10, 7.5))).toBeCloseTo(Math.sqrt(2.5 / 5), 1);
    expect(correlation(path(10, 5), path(5, 10))).toBeCloseTo(-1, 1);
  });

  it('depends on the seed alone, all 64 bits of it', () => {
    expect(pathOf(5n, 16)(8, 4)).toEqual(pathOf(5n, 16)(8, 4));
    const seeds = [5n, 6n, 5n + 2n ** 32n, 2n ** 64n - 1n];
    const firsts = seeds.map((seed) => pathOf(seed, 16)(8, 4)[0]);
    expect(new Set(firsts).size).toBe(seeds.length);
    expect(Math.abs(correlation(pathOf(5n, SIZE)(8, 4), pathOf(6n, SIZE)(8, 4)))).toBeLessThan(0.06);
  });

  it('tells even the shortest steps apart', () => {
    const path = pathOf(7n, SIZE);
    for (const [from, to] of [
      [1, 0.999999],
      [0.031, 0.03],
      [4500, 4499],
    ] as const) {
      expect(Math.abs(correlation(path(from, to), path(from, to)) - 1)).toBeLessThan(0.1);
    }
  });

  it('gives each image of a batch its own', () => {
    const batch = createBrownianBatch([8n, 9n], {
      range: [0.03, 4500],
      size: 16,
      generator: createTorchCpuGenerator,
    })(6, 3);
    expect(batch.slice(0, 16)).toEqual(pathOf(8n, 16)(6, 3));
    expect(batch.slice(16)).toEqual(pathOf(9n, 16)(6, 3));
  });
});
