let float16Table: Float32Array | undefined;

/** Widens IEEE 754 binary16 values, exactly. */
export function widenFloat16(
  source: Uint16Array,
  target?: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  float16Table ??= makeFloat16Table();
  return lookUp(float16Table, source, target);
}

/**
 * Rounds to IEEE 754 binary16, to nearest and ties to even. Values beyond 65504 become infinity; NaN stays NaN.
 */
export function narrowToFloat16(source: Float32Array): Uint16Array<ArrayBuffer> {
  const target = new Uint16Array(source.length);
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] ?? 0;
    const sign = (value >>> 16) & 0x8000;
    const magnitude = value & 0x7fffffff;
    let half: number;
    if (magnitude >= 0x47800000) {
      half = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    } else if (magnitude >= 0x38800000) {
      // The exponent's bias goes from 127 to 15; adding half of the last place, less one for even, rounds.
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else if (magnitude > 0x33000000) {
      // Subnormal: the mantissa with its leading one, shifted to units of 2^-24.
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const floor = mantissa >>> shift;
      const rest = mantissa - (floor << shift);
      const middle = 1 << (shift - 1);
      half = floor + (rest > middle || (rest === middle && (floor & 1) === 1) ? 1 : 0);
    } else {
      half = 0;
    }
    target[i] = sign | half;
  }
  return target;
}

/** Widens bfloat16 values (the upper half of a binary32), exactly. */
export function widenBfloat16(source: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(source.length);
  for (let i = 0; i < bits.length; i++) bits[i] = (source[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

/** The 8-bit float formats of Micikevicius et al. 2022, "FP8 Formats for Deep Learning". */
export type Float8 = 'e4m3' | 'e5m2';

const float8Tables: Partial<Record<Float8, Float32Array>> = {};

/** Widens 8-bit floats, exactly. `e4m3` has no infinities (torch's `float8_e4m3fn`). */
export function widenFloat8(source: Uint8Array, format: Float8): Float32Array<ArrayBuffer> {
  return lookUp((float8Tables[format] ??= makeFloat8Table(format)), source);
}

function lookUp(
  table: Float32Array,
  source: Uint16Array | Uint8Array,
  target = new Float32Array(source.length),
): Float32Array<ArrayBuffer> {
  for (let i = 0; i < source.length; i++) target[i] = table[source[i] ?? 0] ?? 0;
  return target;
}

function makeFloat16Table(): Float32Array {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < table.length; bits++) table[bits] = decode(bits, 5, 10, true);
  return table;
}

function makeFloat8Table(format: Float8): Float32Array {
  if (format === 'e5m2') return Float32Array.from({ length: 256 }, (_, bits) => decode(bits, 5, 2, true));
  return Float32Array.from({ length: 256 }, (_, bits) =>
    (bits & 0x7f) === 0x7f ? NaN : decode(bits, 4, 3, false),
  );
}

/** Value of a sign, exponent and mantissa; with `ieee` the largest exponent means infinity and NaN. */
function decode(bits: number, exponentBits: number, mantissaBits: number, ieee: boolean): number {
  const mantissa = bits & (2 ** mantissaBits - 1);
  const exponent = (bits >> mantissaBits) & (2 ** exponentBits - 1);
  const sign = bits >> (mantissaBits + exponentBits) ? -1 : 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (ieee && exponent === 2 ** exponentBits - 1) return mantissa ? NaN : sign * Infinity;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias);
}
