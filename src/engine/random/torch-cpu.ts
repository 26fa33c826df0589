import type { NormalGenerator } from './normal-generator.ts';

/**
 * torch's CPU generator: Mersenne Twister (Matsumoto & Nishimura 1998), with torch.randn's two ways of making
 * normal numbers. Source: aten/src/ATen/core/MT19937RNGEngine.h, native/cpu/DistributionTemplates.h and
 * core/DistributionsHelper.h.
 * @param seed 0 … 2^64 − 1. As in torch, this engine is seeded by the low 32 bits.
 */
export function createTorchCpuGenerator(seed: bigint): NormalGenerator {
  return new TorchCpuGenerator(Number(BigInt.asUintN(32, seed)));
}

const STATE_SIZE = 624;
const SHIFT_SIZE = 397;
/** From this many values on, torch uses its vectorised order. */
const VECTORISED_FROM = 16;

class TorchCpuGenerator implements NormalGenerator {
  readonly #state = new Uint32Array(STATE_SIZE);
  #next = STATE_SIZE;
  /** The scalar order makes numbers in pairs and keeps the second, even from one call to the next. */
  #spare: number | undefined;

  constructor(seed: number) {
    this.#state[0] = seed;
    for (let i = 1, last = seed; i < STATE_SIZE; i++) {
      last = (Math.imul(1812433253, last ^ (last >>> 30)) + i) >>> 0;
      this.#state[i] = last;
    }
  }

  randn(count: number): Float32Array {
    const values = new Float32Array(count);
    if (count < VECTORISED_FROM) {
      for (let i = 0; i < count; i++) values[i] = this.#normal();
      return values;
    }
    for (let i = 0; i < count; i++) values[i] = this.#uniform24();
    for (let i = 0; i + 16 <= count; i += 16) boxMuller16(values.subarray(i, i + 16));
    if (count % 16 !== 0) {
      // The last 16 are drawn anew, over numbers that may be finished already.
      const tail = values.subarray(count - 16);
      for (let i = 0; i < 16; i++) tail[i] = this.#uniform24();
      boxMuller16(tail);
    }
    return values;
  }

  #normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.#uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  #uniform24(): number {
    return (this.#random32() & 0xffffff) / 2 ** 24;
  }

  #uniform53(): number {
    const high = this.#random32() & 0x1fffff;
    return (high * 2 ** 32 + this.#random32()) / 2 ** 53;
  }

  #random32(): number {
    if (this.#next === STATE_SIZE) this.#refill();
    let y = this.#state[this.#next++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < STATE_SIZE; i++) {
      const joined = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % STATE_SIZE] ?? 0) & 0x7fffffff);
      const twist = joined & 1 ? 0x9908b0df : 0;
      state[i] = (state[(i + SHIFT_SIZE) % STATE_SIZE] ?? 0) ^ (joined >>> 1) ^ twist;
    }
    this.#next = 0;
  }
}

/** Box–Muller in place: 8 radii, then 8 angles, become 8 cosines, then 8 sines. Rounded as float32 vectors are. */
function boxMuller16(block: Float32Array): void {
  const { fround } = Math;
  for (let i = 0; i < 8; i++) {
    const uniform = fround(1 - (block[i] ?? 0));
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(uniform)))));
    const angle = fround(TWO_PI * (block[i + 8] ?? 0));
    block[i] = radius * fround(Math.cos(angle));
    block[i + 8] = radius * fround(Math.sin(angle));
  }
}

const TWO_PI = Math.fround(2 * Math.PI);
