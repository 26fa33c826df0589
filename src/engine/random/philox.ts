import type { NormalGenerator } from './normal-generator.ts';

/**
 * The generator of CUDA's `torch.randn`: Philox 4x32 with 10 rounds (Salmon et al. 2011), each value from a
 * counter of its own, so that a draw is the same at any size. Source: A1111's modules/rng_philox.py.
 * @param seed 0 … 2^64 − 1, all of it used.
 */
export function createPhiloxGenerator(seed: bigint): NormalGenerator {
  return new PhiloxGenerator(Number(BigInt.asUintN(32, seed)), Number(BigInt.asUintN(32, seed >> 32n)));
}

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;

class PhiloxGenerator implements NormalGenerator {
  readonly #keyLow: number;
  readonly #keyHigh: number;
  /** Counts calls. */
  #offset = 0;

  constructor(keyLow: number, keyHigh: number) {
    this.#keyLow = keyLow;
    this.#keyHigh = keyHigh;
  }

  randn(count: number): Float32Array {
    const values = new Float32Array(count);
    const offset = this.#offset++;
    for (let i = 0; i < count; i++) {
      let counter0 = offset;
      let counter1 = 0;
      let counter2 = i;
      let counter3 = 0;
      let key0 = this.#keyLow;
      let key1 = this.#keyHigh;
      for (let round = 0; round < ROUNDS; round++) {
        const high0 = multiplyHigh(MULTIPLIER_0, counter0);
        const low0 = Math.imul(MULTIPLIER_0, counter0);
        const high1 = multiplyHigh(MULTIPLIER_1, counter2);
        const low1 = Math.imul(MULTIPLIER_1, counter2);
        counter0 = (high1 ^ counter1 ^ key0) >>> 0;
        counter1 = low1 >>> 0;
        counter2 = (high0 ^ counter3 ^ key1) >>> 0;
        counter3 = low0 >>> 0;
        key0 = (key0 + KEY_STEP_0) >>> 0;
        key1 = (key1 + KEY_STEP_1) >>> 0;
      }
      values[i] = boxMuller(counter0, counter1);
    }
    return values;
  }
}

/** One normal number of two words, rounded as CUDA's float32 arithmetic rounds; the pair's other one is not used. */
function boxMuller(word0: number, word1: number): number {
  const { fround } = Math;
  const uniform = fround((word0 + 0.5) / 2 ** 32);
  const angle = fround(((word1 + 0.5) / 2 ** 32) * 2 * Math.PI);
  return fround(Math.sqrt(fround(-2 * fround(Math.log(uniform))))) * fround(Math.sin(angle));
}

/** High word of the product of two unsigned 32-bit numbers, from 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}
