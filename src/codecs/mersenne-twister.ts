const N = 624;
const M = 397;

/**
 * MT19937 behind a state that its user has seeded; how seeds become states differs between the programs that have it.
 * Source: Matsumoto & Nishimura 1998, mt19937ar.c.
 */
export class MersenneTwister {
  readonly #state: Uint32Array;
  #next = N;

  /** @param state its 624 words, kept */
  constructor(state: Uint32Array) {
    this.#state = state;
  }

  /** The next number, 0 … 2^32 − 1. */
  uint32(): number {
    if (this.#next === N) this.#refill();
    let word = this.#state[this.#next++] ?? 0;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    word ^= word >>> 18;
    return word >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < N; i++) {
      const joined = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % N] ?? 0) & 0x7fffffff);
      state[i] = (state[(i + M) % N] ?? 0) ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

/** The state that a single word seeds. */
export function seedState(seed: number): Uint32Array {
  const state = new Uint32Array(N);
  state[0] = seed;
  for (let i = 1; i < N; i++) {
    const last = state[i - 1] ?? 0;
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
  }
  return state;
}

/** The state that several words seed. @param key at least one word */
export function seedStateByArray(key: readonly number[]): Uint32Array {
  const state = seedState(19650218);
  const mixed = (i: number): number => {
    const word = state[i] ?? 0;
    return word ^ (word >>> 30);
  };
  let i = 1;
  const advance = (): void => {
    i++;
    if (i < N) return;
    state[0] = state[N - 1] ?? 0;
    i = 1;
  };
  for (let k = 0; k < Math.max(N, key.length); k++) {
    const j = k % key.length;
    state[i] = ((state[i] ?? 0) ^ Math.imul(mixed(i - 1), 1664525)) + (key[j] ?? 0) + j;
    advance();
  }
  for (let k = 1; k < N; k++) {
    state[i] = ((state[i] ?? 0) ^ Math.imul(mixed(i - 1), 1566083941)) - i;
    advance();
  }
  state[0] = 0x80000000;
  return state;
}
