import { describe, expect, test } from 'vitest';
import { createNoiseStream, type LatentSize } from '#engine/random/latent-noise.ts';
import { createPhiloxGenerator } from '#engine/random/philox.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import type { NoiseSpec } from '#protocol/job.ts';

const PLAIN: NoiseSpec = { source: 'philox', subseedStrength: 0, etaNoiseSeedDelta: 0 };
const SIZE: LatentSize = [4, 8, 6];
const LENGTH = 4 * 8 * 6;

const stream = (spec: Partial<NoiseSpec>, seeds: readonly bigint[], size = SIZE) =>
  createNoiseStream(
    { ...PLAIN, ...spec },
    seeds.map((seed) => ({ seed, subseed: seed + 1000n })),
    size,
    8,
  );

const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

describe.each([
  ['philox', createPhiloxGenerator],
  ['torch-cpu', createTorchCpuGenerator],
] as const)('%s', (source, create) => {
  test('an image gets the draws of its seed, one after the other', () => {
    const noise = stream({ source }, [5n]);
    const generator = create(5n);
    expect([...noise.first()]).toEqual([...generator.randn(LENGTH)]);
    expect([...noise.next()]).toEqual([...generator.randn(LENGTH)]);
  });

  test('the place in the batch does not matter', () => {
    const batch = stream({ source, subseedStrength: 0.3 }, [1n, 2n, 3n]);
    const alone = stream({ source, subseedStrength: 0.3 }, [3n]);
    expect([...batch.first().subarray(2 * LENGTH)]).toEqual([...alone.first()]);
    expect([...batch.next().subarray(2 * LENGTH)]).toEqual([...alone.next()]);
  });

  test('ENSD moves the seed of the later draws only', () => {
    const noise = stream({ source, etaNoiseSeedDelta: 31337 }, [5n]);
    expect([...noise.first()]).toEqual([...create(5n).randn(LENGTH)]);
    expect([...noise.next()]).toEqual([...create(5n + 31337n).randn(LENGTH)]);
  });
});

test('a subseed leads from one noise to the other on a great circle', () => {
  const from = createPhiloxGenerator(5n).randn(LENGTH);
  const to = createPhiloxGenerator(1005n).randn(LENGTH);
  for (const [strength, expected] of [
    [1e-9, from],
    [1, to],
  ] as const) {
    const noise = stream({ subseedStrength: strength }, [5n]).first();
    expect(Math.max(...noise.map((value, i) => Math.abs(value - (expected[i] ?? NaN))))).toBeLessThan(1e-6);
  }
  // Halfway a straight line would lose about 30 % of the length.
  const half = norm(stream({ subseedStrength: 0.5 }, [5n]).first());
  expect(half).toBeGreaterThan(0.9 * Math.min(norm(from), norm(to)));
});

test('a smaller noise is placed in the middle of the larger one', () => {
  const noise = stream({ resizeFrom: { width: 32, height: 32 } }, [5n]).first();
  const inner = createPhiloxGenerator(5n).randn(4 * 4 * 4);
  const outer = createPhiloxGenerator(5n).randn(LENGTH);
  for (let channel = 0; channel < 4; channel++) {
    for (let y = 0; y < 8; y++) {
      for (let x = 0; x < 6; x++) {
        const inside = y >= 2 && y < 6 && x >= 1 && x < 5;
        const expected = inside
          ? inner[channel * 16 + (y - 2) * 4 + (x - 1)]
          : outer[channel * 48 + y * 6 + x];
        expect(noise[channel * 48 + y * 6 + x]).toBe(expected);
      }
    }
  }
});

test('of a larger noise the middle is kept', () => {
  const noise = stream({ resizeFrom: { width: 80, height: 96 } }, [5n]).first();
  const large = createPhiloxGenerator(5n).randn(4 * 12 * 10);
  expect(noise[0]).toBe(large[2 * 10 + 2]);
  expect(noise[LENGTH - 1]).toBe(large[3 * 120 + 9 * 10 + 7]);
});
