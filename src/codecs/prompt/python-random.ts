const N = 624;
const M = 397;

/**
 * CPython's `random.Random(seed)` as far as `choice` needs it: MT19937 seeded by the seed's 32-bit words.
 * Sources: Matsumoto and Nishimura's mt19937ar.c; CPython Modules/_randommodule.c and Lib/random.py.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #next = N;

  /** @param seed any integer; its sign does not matter */
  constructor(seed: bigint) {
    this.#seedByArray(toWords(seed < 0n ? -seed : seed));
  }

  /**
   * An element of a list, as `random.choice`.
   *
   * @throws RangeError on an empty list
   */
  choice<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new RangeError('Cannot choose from an empty list.');
    return item;
  }

  /** An integer in [0, limit): bits are drawn until they fit. */
  #below(limit: number): number {
    const bits = 32 - Math.clz32(limit);
    if (bits === 0) return 0;
    let drawn = this.#uint32() >>> (32 - bits);
    while (drawn >= limit) drawn = this.#uint32() >>> (32 - bits);
    return drawn;
  }

  #seedByArray(key: readonly number[]): void {
    const state = this.#state;
    state[0] = 19650218;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, this.#mixed(i - 1)) + i;
    let i = 1;
    const wrap = (): void => {
      i++;
      if (i < N) return;
      state[0] = state[N - 1] ?? 0;
      i = 1;
    };
    for (let k = 0; k < Math.max(N, key.length); k++) {
      const j = k % key.length;
      state[i] = ((state[i] ?? 0) ^ Math.imul(this.#mixed(i - 1), 1664525)) + (key[j] ?? 0) + j;
      wrap();
    }
    for (let k = 1; k < N; k++) {
      state[i] = ((state[i] ?? 0) ^ Math.imul(this.#mixed(i - 1), 1566083941)) - i;
      wrap();
    }
    state[0] = 0x80000000;
  }

  #mixed(i: number): number {
    const word = this.#state[i] ?? 0;
    return word ^ (word >>> 30);
  }

  #uint32(): number {
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
      const word = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % N] ?? 0) & 0x7fffffff);
      state[i] = (state[(i + M) % N] ?? 0) ^ (word >>> 1) ^ (word & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

/** The 32-bit words of a natural number, lowest first; at least one. */
function toWords(value: bigint): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0n || words.length === 0; rest >>= 32n)
    words.push(Number(rest & 0xffffffffn));
  return words;
}
