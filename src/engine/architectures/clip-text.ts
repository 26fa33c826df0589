import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { linear } from '#engine/graph/layers.ts';
import { add, gather } from '#engine/graph/operators.ts';
import { causalMask, clipEncoder, endOfText, readClipSizes } from './clip-layers.ts';
import { ConfigReader, type ConfigJson } from './config.ts';
import { embedTokens, giveTextOutputs, type TextEncoderOptions, type TextOutput } from './text-outputs.ts';

/**
 * Transformers' CLIPTextModel and CLIPTextModelWithProjection: the text encoders of SD 1, SD 2 and SDXL.
 * Input `input_ids` int32 [batch, max_position_embeddings]; outputs float32 as requested.
 * Source: transformers, models/clip/modeling_clip.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildClipText(json: ConfigJson, options: TextEncoderOptions): BuiltGraph {
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
  const look = { vocabulary, width: sizes.width, look: (known: Value) => gather(graph, table, known) };
  const { embedded, known } = embedTokens(graph, ids, look, options);
  const states = clipEncoder(
    graph,
    add(graph, embedded, positions),
    `${model}encoder`,
    sizes,
    causalMask(graph, tokens),
  );

  giveTextOutputs(graph, outputs, {
    states,
    norm: { name: `${model}final_layer_norm`, epsilon: sizes.epsilon },
    endOfText: () => endOfText(graph, known, config),
    project(pooled) {
      const out = config.number('projection_dim', 512);
      return linear(graph, pooled, 'text_projection', { out, bias: false });
    },
  });
  return graph.build();
}

function defaultOutputs(graph: Graph): readonly TextOutput[] {
  return ['last_hidden_state', graph.weights.has('text_projection.weight') ? 'text_embeds' : 'pooler_output'];
}
