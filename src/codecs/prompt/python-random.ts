import { MersenneTwister, seedStateByArray } from '#codecs/mersenne-twister.ts';

/**
 * CPython's `random.Random(seed)` as far as `choice` needs it: MT19937 seeded by the seed's 32-bit words.
 * Source: CPython Modules/_randommodule.c and Lib/random.py.
 */
export class PythonRandom {
  readonly #generator: MersenneTwister;

  /** @param seed any integer; its sign does not matter */
  constructor(seed: bigint) {
    this.#generator = new MersenneTwister(seedStateByArray(toWords(seed < 0n ? -seed : seed)));
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

  /** An integer in [0, limit): bits are drawn until the value fits. */
  #below(limit: number): number {
    const bits = 32 - Math.clz32(limit);
    if (bits === 0) return 0;
    let drawn = this.#generator.uint32() >>> (32 - bits);
    while (drawn >= limit) drawn = this.#generator.uint32() >>> (32 - bits);
    return drawn;
  }
}

/** The 32-bit words of a natural number, lowest first; at least one. */
function toWords(value: bigint): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0n || words.length === 0; rest >>= 32n)
    words.push(Number(rest & 0xffffffffn));
  return words;
}
