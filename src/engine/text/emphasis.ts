/** How emphasis reaches the text encoder's output; see the functions of this file. */
export type Emphasis = 'multiply-keep-mean' | 'multiply' | 'from-empty' | 'none';

/**
 * Multiplies each token's vector by its weight.
 *
 * @param hidden [tokens, width], changed in place
 * @param weights [tokens]
 */
export function multiplyTokens(hidden: Float32Array, weights: Float32Array): void {
  const width = hidden.length / weights.length;
  for (const [token, weight] of weights.entries()) {
    if (weight === 1) continue;
    for (let i = token * width; i < (token + 1) * width; i++) hidden[i] = (hidden[i] ?? 0) * weight;
  }
}

/**
 * Multiplies each token's vector by its weight, then scales all of them together so that their mean stays what it was.
 * Source: A1111 modules/sd_emphasis.py, `EmphasisOriginal`; there too the texts of one schedule are scaled together.
 *
 * @param batch texts encoded together: `hidden` [tokens, width] is changed in place
 */
export function multiplyKeepingMean(batch: readonly { hidden: Float32Array; weights: Float32Array }[]): void {
  if (batch.every(({ weights }) => weights.every((weight) => weight === 1))) return;
  const before = sum(batch.map(({ hidden }) => hidden));
  for (const { hidden, weights } of batch) multiplyTokens(hidden, weights);
  const after = sum(batch.map(({ hidden }) => hidden));
  if (after === 0) return;
  for (const { hidden } of batch) scale(hidden, before / after);
}

/**
 * Moves each token's vector away from that of the empty prompt in proportion to its weight, then restores the mean.
 * Source: ComfyUI comfy/sd1_clip.py, `encode_token_weights`, as Fooocus modules/patch_clip.py changes it.
 *
 * @param hidden [tokens, width], changed in place
 * @param empty the empty prompt's, of the same shape
 * @param weights [tokens]
 */
export function interpolateFromEmpty(hidden: Float32Array, empty: Float32Array, weights: Float32Array): void {
  const width = hidden.length / weights.length;
  const before = sum([hidden]);
  for (const [token, weight] of weights.entries()) {
    if (weight === 1) continue;
    for (let i = token * width; i < (token + 1) * width; i++) {
      const base = empty[i] ?? 0;
      hidden[i] = ((hidden[i] ?? 0) - base) * weight + base;
    }
  }
  const after = sum([hidden]);
  if (after !== 0) scale(hidden, before / after);
}

function sum(arrays: readonly Float32Array[]): number {
  let total = 0;
  for (const array of arrays) for (const value of array) total += value;
  return total;
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) * factor;
}
