/**
 * Weights of at most this many bytes are widened when they are loaded. Above that, memory matters more than time: a UNet of
 * SD 1.5 in float16 has 1.7 GB, and twice of it does not fit beside it into the 4 GB of WebAssembly. Nor are LoRAs merged
 * into larger UNets when they can do without: to load one again takes longer than many steps.
 */
const FOLDED_BYTES = 300e6;

/** Whether weights of this size are widened at load; see `SessionOptions.foldWeights`. */
export function foldsWeights(bytes: number, limit = FOLDED_BYTES): boolean {
  return bytes <= limit;
}
