import type { FloatTensor, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';

const PAST = 'past_key_values.';
const PRESENT = 'present.';

/**
 * A text decoder that remembers what it has read: a graph as Optimum merges them, with `use_cache_branch` for its first token and
 * the others, and its memory as inputs `past_key_values.*` and outputs `present.*`.
 * @param states what the image encoder saw, float32 [1, tokens, width]
 * @returns reads one more token and gives the likeliest after it
 */
export function createDecoder(session: Session, states: FloatTensor): (id: number) => Promise<number> {
  const pasts = session.inputNames.filter((name) => name.startsWith(PAST));
  let memory = new Map<string, FloatTensor>();
  let read = 0;

  /** Before the first token there is nothing, in as many heads and numbers as the graph says. */
  const emptyOf = (name: string): FloatTensor => {
    const [, heads, , width] = session.inputDims(name);
    if (typeof heads !== 'number' || typeof width !== 'number')
      throw new AppError('unsupported_feature', 'The decoder does not say how large its memory is.');
    return { data: new Float32Array(), dims: [1, heads, 0, width] };
  };
  const floats = ({ data, dims }: FloatTensor): TensorValue => ({ type: 'float32', data, dims });

  return async (id) => {
    const inputs: Record<string, TensorValue> = {
      input_ids: { type: 'int64', data: BigInt64Array.of(BigInt(id)), dims: [1, 1] },
      encoder_hidden_states: floats(states),
      use_cache_branch: { type: 'bool', data: Uint8Array.of(read > 0 ? 1 : 0), dims: [1] },
    };
    for (const name of pasts) inputs[name] = floats(memory.get(name) ?? emptyOf(name));
    const given = Object.fromEntries(
      Object.entries(inputs).filter(([name]) => session.inputNames.includes(name)),
    );
    const outputs = await session.run(given);
    read++;
    const remembered = new Map<string, FloatTensor>();
    for (const name of pasts) {
      const present = outputs[PRESENT + name.slice(PAST.length)];
      // What was read of the image is given once; later it is empty.
      const kept = present && present.data.length > 0 ? present : memory.get(name);
      if (kept) remembered.set(name, kept);
    }
    memory = remembered;
    return likeliest(outputs['logits']);
  };
}

/** The token of the largest number in the last row. @param logits [1, tokens, vocabulary] */
function likeliest(logits: FloatTensor | undefined): number {
  const vocabulary = logits?.dims.at(-1) ?? 0;
  const last = logits?.data.subarray(-vocabulary) ?? new Float32Array();
  let best = 0;
  for (const [id, value] of last.entries()) if (value > (last[best] ?? -Infinity)) best = id;
  return best;
}
