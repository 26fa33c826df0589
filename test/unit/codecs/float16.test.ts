import fc from 'fast-check';
import { expect, test } from 'vitest';
import { narrowToFloat16, widenBfloat16, widenFloat16, widenFloat8 } from '#codecs/float16.ts';

const half = (value: number) => narrowToFloat16(Float32Array.of(value))[0];

test('binary16 values are widened exactly', () => {
  const bits = Uint16Array.of(
    0x0000,
    0x8000,
    0x0001,
    0x03ff,
    0x0400,
    0x3c00,
    0x3555,
    0x7bff,
    0x7c00,
    0xfc00,
    0x7e00,
  );
  expect([...widenFloat16(bits)]).toEqual([
    0,
    -0,
    2 ** -24,
    1023 * 2 ** -24,
    2 ** -14,
    1,
    0.333251953125,
    65504,
    Infinity,
    -Infinity,
    NaN,
  ]);
});

test('every binary16 value survives the way to binary32 and back', () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((b) => (b & 0x7fff) <= 0x7c00);
  expect(narrowToFloat16(widenFloat16(bits))).toEqual(bits);
});

test('rounding goes to the nearest value, ties to even', () => {
  expect(half(1 + 2 ** -11)).toBe(0x3c00);
  expect(half(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(half(65519.99)).toBe(0x7bff);
  expect(half(65520)).toBe(0x7c00);
  expect(half(2 ** -25)).toBe(0);
  expect(half(1.5 * 2 ** -25)).toBe(1);
  expect(half(3 * 2 ** -25)).toBe(2);
  expect(half(2 ** -14 - 2 ** -26)).toBe(0x0400);
  expect(half(NaN)).toBe(0x7e00);
});

test('no binary16 value is nearer than the one chosen', () => {
  fc.assert(
    fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
      const bits = half(value) ?? 0;
      const around = widenFloat16(Uint16Array.of(bits, bits + 1, Math.max(bits - 1, bits & 0x8000)));
      const [error = NaN, above = NaN, below = NaN] = around.map((x) => Math.abs(x - value));
      return error <= above && error <= below;
    }),
  );
});

test('bfloat16 is the upper half of binary32', () => {
  expect([...widenBfloat16(Uint16Array.of(0x3f80, 0xc049, 0x7f80))]).toEqual([1, -3.140625, Infinity]);
});

test('8-bit floats: e4m3 reaches 448 and has no infinities, e5m2 has them', () => {
  expect([...widenFloat8(Uint8Array.of(0x38, 0x7e, 0x7f, 0x01, 0xb8), 'e4m3')]).toEqual([
    1,
    448,
    NaN,
    2 ** -9,
    -1,
  ]);
  expect([...widenFloat8(Uint8Array.of(0x3c, 0x7b, 0x7c, 0x01), 'e5m2')]).toEqual([
    1,
    57344,
    Infinity,
    2 ** -16,
  ]);
});
