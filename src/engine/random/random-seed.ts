/**
 * A seed nobody chose: 0 … `limit` − 1, every value equally likely.
 * @param limit up to 2^64; A1111 uses 2^32 − 2
 */
export function randomSeed(limit = 2n ** 32n - 2n): bigint {
  const range = 2n ** 64n;
  const fair = range - (range % limit);
  const words = new BigUint64Array(1);
  for (;;) {
    crypto.getRandomValues(words);
    const word = words[0] ?? 0n;
    // Above the last whole multiple of the limit, small seeds would come up more often.
    if (word < fair) return word % limit;
  }
}
