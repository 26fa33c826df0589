import type { FloatTensor, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';

const PAST = 'past_key_values.';
const PRESENT = 'present.';

/** Reads more tokens. @returns a number for each token of the vocabulary, the larger the likelier it comes next */
type ReadTokens = (ids: readonly number[]) => Promise<Float32Array>;

/**
 * A text decoder as Optimum exports them. One with a memory, inputs `past_key_values.*` and outputs `present.*`, reads each token
 * once; where it is two graphs merged into one, `use_cache_branch` says whether there is a memory yet. One without is given all
 * tokens again.
 * @param states what an encoder saw, float32 [1, tokens, width], for decoders that describe images
 * @param embed the embeddings of tokens, float32 [1, tokens, width], for decoders that read those in place of ids
 * @throws AppError `unsupported_feature` for graphs of another form; the answer also what the runtime throws
 */
export function createDecoder(
  session: Session,
  states?: FloatTensor,
  embed?: (ids: readonly number[]) => Promise<FloatTensor>,
): ReadTokens {
  const pasts = session.inputNames.filter((name) => name.startsWith(PAST));
  let memory = new Map<string, FloatTensor>();
  /** How many tokens the memory has. */
  let remembered = 0;
  /** Those of a decoder without one. */
  const all: number[] = [];

  /** Before the first token there is nothing, in as many heads and numbers as the graph says. */
  const emptyOf = (name: string): FloatTensor => {
    const [, heads, , width] = session.inputDims(name);
    if (typeof heads !== 'number' || typeof width !== 'number')
      throw new AppError('unsupported_feature', 'The decoder does not say how large its memory is.');
    return { data: new Float32Array(), dims: [1, heads, 0, width] };
  };

  return async (more) => {
    if (pasts.length === 0) all.push(...more);
    const ids = pasts.length === 0 ? all : more;
    const positions = ids.map((_, index) => remembered + index);
    const inputs: Record<string, TensorValue> = {
      input_ids: row(ids),
      attention_mask: row(new Array<number>(remembered + ids.length).fill(1)),
      position_ids: row(positions),
      use_cache_branch: { type: 'bool', data: Uint8Array.of(remembered > 0 ? 1 : 0), dims: [1] },
      ...(states && {
        encoder_hidden_states: floats(states),
        encoder_attention_mask: row(new Array<number>(states.dims[1] ?? 0).fill(1)),
      }),
      ...(embed && { inputs_embeds: floats(await embed(ids)) }),
    };
    for (const name of pasts) inputs[name] = floats(memory.get(name) ?? emptyOf(name));
    const given = Object.fromEntries(
      Object.entries(inputs).filter(([name]) => session.inputNames.includes(name)),
    );
    const outputs = await session.run(given);
    if (pasts.length > 0) remembered += ids.length;
    memory = new Map(
      pasts.flatMap((name) => {
        const present = outputs[PRESENT + name.slice(PAST.length)];
        // What was read of the image is given once; later it is empty.
        const kept = present && present.data.length > 0 ? present : memory.get(name);
        return kept ? [[name, kept] as const] : [];
      }),
    );
    return lastRow(outputs['logits']);
  };
}

/** Whole numbers as one row. */
function row(numbers: readonly number[]): TensorValue {
  return { type: 'int64', data: BigInt64Array.from(numbers, BigInt), dims: [1, numbers.length] };
}

function floats({ data, dims }: FloatTensor): TensorValue {
  return { type: 'float32', data, dims };
}

/** @param logits [1, tokens, vocabulary] */
function lastRow(logits: FloatTensor | undefined): Float32Array {
  const vocabulary = logits?.dims.at(-1) ?? 0;
  if (!logits || vocabulary === 0)
    throw new AppError('unsupported_feature', 'The decoder does not say which token comes next.');
  return logits.data.subarray(-vocabulary);
}
