/** The id of the likeliest token; the first of several. @param logits a number for each token */
export function likeliestToken(logits: Float32Array): number {
  let best = 0;
  for (const [id, value] of logits.entries()) if (value > (logits[best] ?? -Infinity)) best = id;
  return best;
}

/**
 * A token by chance, each as often as the network finds it likely. Source: transformers' generation with `do_sample`, `top_k` and
 * a temperature of 1; its random numbers are torch's and others.
 * @param logits a number for each token; those at -Infinity never come
 * @param topK only so many count, the likeliest
 * @param random 0 … 1, without 1
 * @returns null where no token may come
 */
export function drawToken(logits: Float32Array, topK: number, random: () => number): number | null {
  const ranked = logits.filter((value) => value > -Infinity).sort();
  const least = ranked[Math.max(0, ranked.length - topK)] ?? Infinity;
  const top = Array.from(logits.keys()).filter((id) => (logits[id] ?? -Infinity) >= least);
  const [first] = top;
  if (first === undefined) return null;
  const largest = ranked.at(-1) ?? 0;
  const weights = top.map((id) => Math.exp((logits[id] ?? 0) - largest));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, id] of top.entries()) {
    left -= weights[index] ?? 0;
    if (left < 0) return id;
  }
  return first;
}

/**
 * Forbids the tokens that would repeat a run of so many tokens, as transformers' NoRepeatNGramLogitsProcessor.
 * @param ids the text so far
 * @param run how many tokens may not come twice in the same order; 0 for any
 * @returns the logits, -Infinity for the tokens that may not come
 */
export function withoutRepeats(logits: Float32Array, ids: readonly number[], run: number): Float32Array {
  if (run <= 0 || ids.length < run) return logits;
  const allowed = logits.slice();
  const last = ids.slice(ids.length - run + 1);
  for (let end = run - 1; end < ids.length; end++) {
    const isSame = last.every((id, index) => id === ids[end - run + 1 + index]);
    const next = ids[end];
    if (isSame && next !== undefined) allowed[next] = -Infinity;
  }
  return allowed;
}
