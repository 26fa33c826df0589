import { describe, expect, test } from 'vitest';
import { createFooocusGuider } from '#engine/stages/denoise/fooocus-guider.ts';
import { anisotropicFilter } from '#imaging/fooocus/anisotropic-filter.ts';
import { adaptiveScale, roundTo64 } from '#imaging/fooocus/guidance.ts';

/* The expected numbers are the formulas of Fooocus' modules/patch.py and modules/anisotropic.py in numpy, in float64. */

const shape = { channels: 3, height: 7, width: 9 };
const LENGTH = 3 * 7 * 9;
const OUTPUT = Float32Array.from({ length: LENGTH }, (_, i) => Math.sin(i * 0.7) + 0.3 * Math.cos(i * 1.9));
const SAMPLE = Float32Array.from({ length: LENGTH }, (_, i) => 1.5 * Math.cos(i * 0.31));
const PLACES = [0, 17, 62, 100, 188];

/** Some numbers, and the sum of all amounts. */
function pick(values: Float32Array): number[] {
  const sum = values.reduce((total, value) => total + Math.abs(value), 0);
  return [...PLACES.map((place) => values[place] ?? NaN), sum];
}

function expectNumbers(values: Float32Array, expected: readonly number[]): void {
  pick(values).forEach((value, i) => {
    expect(Math.abs(value - (expected[i] ?? NaN))).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)) + 1e-5);
  });
}

test('the filter smooths within what is alike in the guide', () => {
  const { data } = anisotropicFilter({ ...shape, data: OUTPUT }, { ...shape, data: SAMPLE });
  expectNumbers(data, [0.519617, -0.48265, -0.498538, 0.489543, -0.532695, 67.1554]);
});

test('the filter works on latents that are smaller than its window', () => {
  const small = { channels: 1, height: 1, width: 3, data: Float32Array.of(1, 2, 3) };
  const { data } = anisotropicFilter(small, small);
  expect(data.every((value) => value > 1 && value < 3)).toBe(true);
});

describe('sharpness, whatever the network predicts', () => {
  test.each([
    ['epsilon', [0.301796, -0.430177, -0.552821, 0.7892, -0.16837, 122.0853]],
    ['v_prediction', [0.288317, -0.439799, -0.568151, 0.776248, -0.165346, 121.9322]],
    ['sample', [0.331081, -0.414046, -0.526785, 0.817835, -0.172935, 122.5173]],
    ['flow_prediction', [0.302138, -0.429498, -0.552553, 0.789448, -0.168143, 122.0228]],
  ] as const)('%s', (prediction, expected) => {
    const model = { schedulerConfig: { prediction_type: prediction } };
    const guider = createFooocusGuider({ adaptiveScale: 7, sharpness: 20 }, model);
    expectNumbers(guider.sharpen(SAMPLE, OUTPUT, shape, 400), expected);
  });

  test('has no effect at pure noise', () => {
    const guider = createFooocusGuider({ adaptiveScale: 7, sharpness: 20 }, { schedulerConfig: {} });
    expect(guider.sharpen(SAMPLE, OUTPUT, shape, 999)).toEqual(OUTPUT);
  });
});

test('a guidance scale above the adaptive one grows from that to itself', () => {
  expect([999, 400, 0].map((timestep) => adaptiveScale(12, 7, timestep))).toEqual([
    7,
    expect.closeTo(9.997998, 6),
    12,
  ]);
  expect(adaptiveScale(4, 7, 400)).toBe(4);
});

test('target sizes are multiples of 64', () => {
  expect([64, 96, 160, 1000, 1024, 832].map(roundTo64)).toEqual([64, 128, 128, 1024, 1024, 832]);
});
