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

/** A text of those that are encoded together. */
export interface EmphasisBatchEntry {
  /** [tokens, width] */
  hidden: Float32Array;
  /** [tokens] */
  weights: Float32Array;
  /** How often the batch contains this text. */
  count: number;
}

/**
 * Multiplies each token's vector by its weight, then scales all of them together so that their mean stays what it was.
 * Source: A1111 modules/sd_emphasis.py, `EmphasisOriginal`; there too the texts of one schedule are scaled together.
 *
 * @param batch `hidden` is changed in place
 */
export function multiplyKeepingMean(batch: readonly EmphasisBatchEntry[]): void {
  if (batch.every(({ weights }) => weights.every((weight) => weight === 1))) return;
  const total = (): number => batch.reduce((sum, { hidden, count }) => sum + count * sumOf(hidden), 0);
  const before = total();
  for (const { hidden, weights } of batch) multiplyTokens(hidden, weights);
  const after = total();
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
  const before = sumOf(hidden);
  for (const [token, weight] of weights.entries()) {
    if (weight === 1) continue;
    for (let i = token * width; i < (token + 1) * width; i++) {
      const base = empty[i] ?? 0;
      hidden[i] = ((hidden[i] ?? 0) - base) * weight + base;
    }
  }
  const after = sumOf(hidden);
  if (after !== 0) scale(hidden, before / after);
}

function sumOf(values: Float32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) * factor;
}
