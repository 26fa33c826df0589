/** Constants of numpy's hash (numpy/random/bit_generator.pyx, after O'Neill's seed_seq, 2015). */
const POOL_HASH = { start: 0x43b0d7e5, step: 0x931e8875 };
const STATE_HASH = { start: 0x8b51f9dd, step: 0x58f38ded };
const MIX_LEFT = 0xca01f9dd;
const MIX_RIGHT = 0x4973f715;

/**
 * numpy's `SeedSequence(entropy, spawn_key=…, pool_size=…).generate_state(count)`: seeds for generators that must not
 * resemble one another, from one number and a place in a tree.
 *
 * @param entropy 0 or more
 * @param spawnKey the place; empty at the root
 * @param poolSize words of state, 4 in numpy itself
 * @returns `count` words of 32 bits
 */
export function seedSequence(
  entropy: bigint,
  spawnKey: readonly bigint[],
  poolSize: number,
  count: number,
): Uint32Array {
  const words = toWords(entropy);
  // The entropy is filled up, so that a key is not mistaken for more of it.
  while (spawnKey.length > 0 && words.length < poolSize) words.push(0);
  for (const key of spawnKey) words.push(...toWords(key));

  const pool = new Uint32Array(poolSize);
  const hash = createHash(POOL_HASH);
  for (let i = 0; i < poolSize; i++) pool[i] = hash(words[i] ?? 0);
  for (let from = 0; from < poolSize; from++) {
    for (let to = 0; to < poolSize; to++) {
      if (from !== to) pool[to] = mix(pool[to] ?? 0, hash(pool[from] ?? 0));
    }
  }
  for (const word of words.slice(poolSize)) {
    for (let to = 0; to < poolSize; to++) pool[to] = mix(pool[to] ?? 0, hash(word));
  }

  const output = createHash(STATE_HASH);
  return Uint32Array.from({ length: count }, (_, i) => output(pool[i % poolSize] ?? 0));
}

/** Words of 32 bits, the lowest first; at least one. */
function toWords(value: bigint): number[] {
  const words = [Number(BigInt.asUintN(32, value))];
  for (let rest = value >> 32n; rest > 0n; rest >>= 32n) words.push(Number(BigInt.asUintN(32, rest)));
  return words;
}

/** A hash whose constant changes with every call. */
function createHash({ start, step }: { start: number; step: number }): (value: number) => number {
  let constant = start;
  return (value) => {
    const mixed = value ^ constant;
    constant = Math.imul(constant, step);
    const product = Math.imul(mixed, constant);
    return (product ^ (product >>> 16)) >>> 0;
  };
}

function mix(a: number, b: number): number {
  const mixed = (Math.imul(MIX_LEFT, a) - Math.imul(MIX_RIGHT, b)) | 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
