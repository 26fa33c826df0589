const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK = (1n << 128n) - 1n;

/** State and increment of `numpy.random.default_rng(0)`. */
const SEED_0 = {
  state: 35399562948360463058890781895381311971n,
  increment: 87136372517582989555478159403783844777n,
};

/**
 * Numbers from 0 up to 1 as `numpy.random.default_rng(0).random()` has them: PCG XSL RR 128/64, 53 bits of each number.
 * Source: O'Neill 2014; numpy random/src/pcg64.
 */
export function defaultRngUniform(count: number): Float64Array {
  const numbers = new Float64Array(count);
  let { state } = SEED_0;
  for (let i = 0; i < count; i++) {
    state = (state * MULTIPLIER + SEED_0.increment) & MASK;
    const folded = (state >> 64n) ^ (state & 0xffffffffffffffffn);
    const turn = state >> 122n;
    const rotated = BigInt.asUintN(64, (folded >> turn) | (folded << ((64n - turn) & 63n)));
    numbers[i] = Number(rotated >> 11n) / 2 ** 53;
  }
  return numbers;
}
