import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { linear } from '#engine/graph/layers.ts';
import {
  add,
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
import { causalMask, clipEncoder, endOfText, pickToken, readClipSizes } from './clip-layers.ts';
import { ConfigReader, type ConfigJson } from './config.ts';

/**
 * - `last_hidden_state`: the last layer's output after the final layer norm
 * - `hidden_states.N`: after N layers, as it is (0 is the embeddings; SDXL reads the one before the last)
 * - `normed_hidden_states.N`: after N layers and the final layer norm (A1111's clip skip on SD 1 and 2)
 * - `pooler_output`: `last_hidden_state` at the end-of-text token
 * - `text_embeds`: that, projected (models with a projection head)
 */
export type ClipTextOutput =
  | 'last_hidden_state'
  | 'pooler_output'
  | 'text_embeds'
  | `hidden_states.${number}`
  | `normed_hidden_states.${number}`;

export interface ClipTextOptions extends BuildOptions {
  outputs?: readonly ClipTextOutput[];
  /**
   * Adds the input `added_embeddings` float32 [added, hidden_size]: the vectors of textual inversions. Token
   * `vocab_size + i` is its row i.
   */
  addedEmbeddings?: boolean;
}

/**
 * Transformers' CLIPTextModel and CLIPTextModelWithProjection: the text encoders of SD 1, SD 2 and SDXL.
 * Input `input_ids` int32 [batch, max_position_embeddings]; outputs float32 as asked for.
 * Source: transformers, models/clip/modeling_clip.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildClipText(json: ConfigJson, options: ClipTextOptions): BuiltGraph {
  const config = new ConfigReader(json, 'CLIPTextModel');
  const sizes = readClipSizes(config, { width: 512, intermediate: 2048, heads: 8 });
  const vocabulary = config.number('vocab_size', 49408);
  const tokens = config.number('max_position_embeddings', 77);

  const graph = new Graph({ name: 'text_encoder', ...options });
  const model = graph.weights.has('text_model.final_layer_norm.weight') ? 'text_model.' : '';
  const outputs = options.outputs ?? defaultOutputs(graph);
  const ids = graph.input('input_ids', 'int32', ['batch', tokens]);

  const table = graph.parameter(`${model}embeddings.token_embedding.weight`, [vocabulary, sizes.width]);
  const positions = graph.parameter(`${model}embeddings.position_embedding.weight`, [tokens, sizes.width]);
  const { embedded, known } = options.addedEmbeddings
    ? embedWithAdded(graph, { ids, table, vocabulary })
    : { embedded: gather(graph, table, ids), known: ids };
  const states = clipEncoder(
    graph,
    add(graph, embedded, positions),
    `${model}encoder`,
    sizes,
    causalMask(graph, tokens),
  );

  const finalNorm = layerNormOnce(graph, `${model}final_layer_norm`, sizes);
  const state = (output: string): Value => {
    const layer = Number(output.split('.')[1]);
    const found = states[layer];
    if (!found)
      throw new AppError('invalid_request', `The text encoder has ${sizes.layers} layers: no ${output}.`);
    return found;
  };
  const last = finalNorm(state(`hidden_states.${sizes.layers}`));
  const pooled = () => pickToken(graph, { hidden: last, picked: endOfText(graph, known, config) });
  for (const output of outputs) {
    if (output === 'last_hidden_state') graph.output(output, last);
    else if (output === 'pooler_output') graph.output(output, pooled());
    else if (output === 'text_embeds') {
      const width = config.number('projection_dim', 512);
      graph.output(output, linear(graph, pooled(), 'text_projection', { out: width, bias: false }));
    } else if (output.startsWith('normed_')) graph.output(output, finalNorm(state(output)));
    else graph.output(output, state(output));
  }
  return graph.build();
}

function defaultOutputs(graph: Graph): readonly ClipTextOutput[] {
  return ['last_hidden_state', graph.weights.has('text_projection.weight') ? 'text_embeds' : 'pooler_output'];
}

/** A layer norm that several hidden states pass through, with one set of weights. */
function layerNormOnce(
  graph: Graph,
  name: string,
  sizes: { width: number; epsilon: number },
): (state: Value) => Value {
  const scale = graph.parameter(`${name}.weight`, [sizes.width]);
  const shift = graph.parameter(`${name}.bias`, [sizes.width]);
  const done = new Map<Value, Value>();
  return (state) => {
    const normed =
      done.get(state) ?? layerNormalization(graph, state, { scale, shift, epsilon: sizes.epsilon });
    done.set(state, normed);
    return normed;
  };
}

/** Rows of the token table, and of the added embeddings for ids beyond it; and the ids with 0 for the latter. */
function embedWithAdded(
  graph: Graph,
  { ids, table, vocabulary }: { ids: Value; table: Value; vocabulary: number },
): { embedded: Value; known: Value } {
  const width = table.shape[1] ?? 1;
  const added = graph.input('added_embeddings', 'float32', ['added', width]);
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
    gather(graph, table, known),
  );
  return { embedded, known };
}
