import type { Graph, Value } from '#engine/graph/graph.ts';
import {
  gather,
  layerNormalization,
  maximum,
  minimum,
  multiply,
  subtract,
  where,
} from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import type { BuildOptions } from './build-options.ts';
import { pickToken } from './clip-layers.ts';

/**
 * - `last_hidden_state`: the last layer's output after the final layer norm
 * - `hidden_states.N`: after N layers, as it is (0 is the embeddings; SDXL reads the one before the last)
 * - `normed_hidden_states.N`: after N layers and the final layer norm (A1111's clip skip on SD 1 and 2)
 * - `pooler_output`: `last_hidden_state` at the end-of-text token
 * - `text_embeds`: that, projected (models with a projection head)
 */
export type TextOutput =
  | 'last_hidden_state'
  | 'pooler_output'
  | 'text_embeds'
  | `hidden_states.${number}`
  | `normed_hidden_states.${number}`;

export interface TextEncoderOptions extends BuildOptions {
  outputs?: readonly TextOutput[];
  /**
   * Adds the input `added_embeddings` float32 [added, hidden_size]: the vectors of textual inversions. Token
   * `vocab_size + i` is its row i.
   */
  addedEmbeddings?: boolean;
}

/** The embeddings of tokens, and their ids with 0 for those that were added. */
export interface EmbeddedTokens {
  embedded: Value;
  known: Value;
}

/**
 * Embeds tokens by a table, and ids beyond it by the input `added_embeddings` where the options ask for that.
 * @param look embeds ids below `vocabulary`: `[batch, tokens]` to `[batch, tokens, width]`
 */
export function embedTokens(
  graph: Graph,
  ids: Value,
  { vocabulary, width, look }: { vocabulary: number; width: number; look: (ids: Value) => Value },
  { addedEmbeddings = false }: Pick<TextEncoderOptions, 'addedEmbeddings'>,
): EmbeddedTokens {
  if (!addedEmbeddings) return { embedded: look(ids), known: ids };
  const added = graph.input('added_embeddings', 'float32', ['added', width]);
  // Written with what WebGPU has kernels for: ids are exact in float32.
  const numbers = graph.cast(ids, 'float32');
  const number = (value: number) => graph.floats([value], [], 'float32');
  const beyond = maximum(graph, subtract(graph, numbers, number(vocabulary)), number(0));
  const isAdded = minimum(
    graph,
    maximum(graph, subtract(graph, numbers, number(vocabulary - 1)), number(0)),
    number(1),
  );
  const isKnown = subtract(graph, number(1), isAdded);
  const known = graph.cast(multiply(graph, numbers, isKnown), 'int32');
  const embedded = where(
    graph,
    graph.reshape(isAdded, [...ids.shape, 1]),
    gather(graph, added, graph.cast(beyond, 'int32')),
    look(known),
  );
  return { embedded, known };
}

/** What a text encoder's outputs are computed from. */
interface EncodedText {
  /** Every hidden state, the embeddings first. */
  states: readonly Value[];
  /** The final layer norm. */
  norm: { name: string; epsilon: number };
  /** 1 at the end-of-text token of each sequence, else 0: [batch, tokens]. */
  endOfText: () => Value;
  /** The projection head. */
  project: (pooled: Value) => Value;
}

/** Makes the requested outputs. @throws AppError `invalid_request` for a layer that does not exist */
export function giveTextOutputs(
  graph: Graph,
  outputs: readonly TextOutput[],
  { states, norm, endOfText, project }: EncodedText,
): void {
  const layers = states.length - 1;
  const finalNorm = layerNormOnce(graph, norm, Number(states[0]?.shape.at(-1)));
  const state = (layer: number): Value => {
    const found = states[layer];
    if (found) return found;
    throw new AppError('invalid_request', `The text encoder has ${layers} layers: no layer ${layer}.`);
  };
  const last = () => finalNorm(state(layers));
  const pooled = () => pickToken(graph, { hidden: last(), picked: endOfText() });
  for (const output of outputs) {
    if (output === 'last_hidden_state') graph.output(output, last());
    else if (output === 'pooler_output') graph.output(output, pooled());
    else if (output === 'text_embeds') graph.output(output, project(pooled()));
    else {
      const found = state(Number(output.split('.')[1]));
      graph.output(output, output.startsWith('normed_') ? finalNorm(found) : found);
    }
  }
}

/** A layer norm that several hidden states pass through, with one set of weights. */
function layerNormOnce(
  graph: Graph,
  { name, epsilon }: EncodedText['norm'],
  width: number,
): (state: Value) => Value {
  let weights: { scale: Value; shift: Value } | undefined;
  const done = new Map<Value, Value>();
  return (state) => {
    weights ??= {
      scale: graph.parameter(`${name}.weight`, [width]),
      shift: graph.parameter(`${name}.bias`, [width]),
    };
    const normed = done.get(state) ?? layerNormalization(graph, state, { ...weights, epsilon });
    done.set(state, normed);
    return normed;
  };
}
