import { MersenneTwister, seedState } from '#codecs/mersenne-twister.ts';
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

/** From this many values on, torch uses its vectorised order. */
const VECTORISED_FROM = 16;

class TorchCpuGenerator implements NormalGenerator {
  readonly #generator: MersenneTwister;
  /** The scalar order makes numbers in pairs and keeps the second, even from one call to the next. */
  #spare: number | undefined;

  constructor(seed: number) {
    this.#generator = new MersenneTwister(seedState(seed));
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
      // The last 16 are drawn again, over numbers that may be finished already.
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
    return (this.#generator.uint32() & 0xffffff) / 2 ** 24;
  }

  #uniform53(): number {
    const high = this.#generator.uint32() & 0x1fffff;
    return (high * 2 ** 32 + this.#generator.uint32()) / 2 ** 53;
  }
}

const { fround } = Math;
const TWO_PI = fround(2 * Math.PI);

/**
 * Box–Muller in place: 8 radii, then 8 angles, become 8 cosines, then 8 sines. The elementary functions are those
 * of torch's AVX2 code, rounded as there, so that the numbers agree to the last bit.
 */
function boxMuller16(block: Float32Array): void {
  for (let i = 0; i < 8; i++) {
    const radius = fround(Math.sqrt(fround(-2 * logarithm(fround(1 - (block[i] ?? 0))))));
    const angle = fround(TWO_PI * (block[i + 8] ?? 0));
    const quadrant = (Math.trunc(fround(angle * FOUR_OVER_PI)) + 1) >> 1;
    const rest = reduceAngle(angle, 2 * quadrant);
    const sine = sinePolynomial(rest);
    const cosine = cosinePolynomial(rest);
    const odd = (quadrant & 1) === 1;
    block[i] = radius * (odd ? sine : cosine) * (((quadrant + 1) & 2) === 0 ? 1 : -1);
    block[i + 8] = radius * (odd ? cosine : sine) * ((quadrant & 2) === 0 ? 1 : -1);
  }
}

/** Source of the polynomials: Moshier's Cephes library, single precision; every product with a sum is fused. */
const LOG = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -0.16668057665,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(fround);
const SINE = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(fround);
const COSINE = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(fround);
const LN2_LOW = fround(-2.1219444e-4);
const LN2_HIGH = fround(0.693359375);
const FOUR_OVER_PI = fround(1.27323954473516);
/** π/4 in three parts. */
const QUARTER_PI = [0.78515625, 2.4187564849853516e-4, 3.774894977445941e-8].map(fround);

function horner(coefficients: readonly number[], x: number): number {
  let sum = coefficients[0] ?? 0;
  for (let i = 1; i < coefficients.length; i++) sum = fround(sum * x + (coefficients[i] ?? 0));
  return sum;
}

/** Natural logarithm of a float32 above 0 and up to 1. */
function logarithm(value: number): number {
  let exponent = Math.floor(Math.log2(value)) + 1;
  let mantissa = value / 2 ** exponent;
  if (mantissa >= 1) {
    mantissa /= 2;
    exponent++;
  }
  if (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent--;
  }
  const x = fround(mantissa - 1);
  const square = fround(x * x);
  const series = fround(horner(LOG, x) * x);
  const low = fround(series * square + fround(exponent * LN2_LOW));
  return fround(exponent * LN2_HIGH + fround(x + fround(low - square / 2)));
}

function reduceAngle(angle: number, eighths: number): number {
  return QUARTER_PI.reduce((rest, part) => fround(rest - eighths * part), angle);
}

function sinePolynomial(x: number): number {
  const square = fround(x * x);
  return fround(fround(horner(SINE, square) * square) * x + x);
}

function cosinePolynomial(x: number): number {
  const square = fround(x * x);
  const series = fround(fround(horner(COSINE, square) * square) * square);
  return fround(fround(series - square / 2) + 1);
}
