import { expect, test } from 'vitest';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import type { TextEncoderOptions } from '#engine/architectures/text-outputs.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

const config = {
  architectures: ['CLIPTextModelWithProjection'],
  eos_token_id: 19,
  hidden_act: 'gelu',
  hidden_size: 8,
  intermediate_size: 16,
  max_position_embeddings: 6,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  projection_dim: 4,
  vocab_size: 20,
};

function tensorShapes(): Record<string, number[]> {
  const shapes: Record<string, number[]> = {
    'text_model.embeddings.token_embedding.weight': [20, 8],
    'text_model.embeddings.position_embedding.weight': [6, 8],
    'text_model.final_layer_norm.weight': [8],
    'text_model.final_layer_norm.bias': [8],
    'text_projection.weight': [4, 8],
  };
  for (const layer of [0, 1]) {
    const name = `text_model.encoder.layers.${layer}`;
    for (const norm of ['layer_norm1', 'layer_norm2']) {
      shapes[`${name}.${norm}.weight`] = [8];
      shapes[`${name}.${norm}.bias`] = [8];
    }
    for (const projection of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) {
      shapes[`${name}.self_attn.${projection}.weight`] = [8, 8];
      shapes[`${name}.self_attn.${projection}.bias`] = [8];
    }
    shapes[`${name}.mlp.fc1.weight`] = [16, 8];
    shapes[`${name}.mlp.fc1.bias`] = [16];
    shapes[`${name}.mlp.fc2.weight`] = [8, 16];
    shapes[`${name}.mlp.fc2.bias`] = [8];
  }
  return shapes;
}

const tensors = randomTensors(tensorShapes());
const weights = tensorsOf(tensors);

async function run(
  ids: readonly number[],
  options: Omit<TextEncoderOptions, 'weights'>,
  {
    json = config,
    source = weights,
    extra = {},
  }: { json?: object; source?: TensorSource; extra?: Record<string, Numbers> } = {},
): Promise<Record<string, Float32Array>> {
  const graph = buildClipText({ ...json }, { ...options, weights: source });
  const session = await openGraph(graph, source, {});
  const outputs = await session.run({ input_ids: { data: Int32Array.from(ids), shape: [1, 6] }, ...extra });
  await session.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
}

const ids = [18, 3, 4, 19, 19, 19];

test('uses every tensor, and gives the last hidden state and the projection unless told otherwise', async () => {
  expect(buildClipText(config, { weights }).unused).toEqual([]);
  const outputs = await run(ids, {});
  expect(Object.keys(outputs)).toEqual(['last_hidden_state', 'text_embeds']);
  expect(outputs['text_embeds']).toHaveLength(4);
});

test('clip skip is an earlier hidden state through the final norm', async () => {
  const outputs = await run(ids, {
    outputs: ['last_hidden_state', 'hidden_states.1', 'normed_hidden_states.1', 'normed_hidden_states.2'],
  });
  expect(outputs['normed_hidden_states.2']).toEqual(outputs['last_hidden_state']);
  expect(outputs['normed_hidden_states.1']).not.toEqual(outputs['hidden_states.1']);
  expect(() => buildClipText(config, { weights, outputs: ['hidden_states.3'] })).toThrow('no layer 3');
});

test('later tokens do not change earlier ones', async () => {
  const outputs = await run(ids, { outputs: ['last_hidden_state'] });
  const others = await run([18, 3, 4, 7, 8, 9], { outputs: ['last_hidden_state'] });
  const start = (states: Record<string, Float32Array>) =>
    states['last_hidden_state']?.slice(0, 3 * 8) ?? new Float32Array();
  expect(relativeError(start(outputs), start(others))).toBeLessThan(1e-6);
  expect(outputs['last_hidden_state']).not.toEqual(others['last_hidden_state']);
});

test('pools at the first end of text, and at the largest id where the configuration is an old one', async () => {
  const wanted = ['last_hidden_state', 'pooler_output'] as const;
  const modern = await run(ids, { outputs: wanted });
  expect(modern['pooler_output']).toEqual(modern['last_hidden_state']?.slice(3 * 8, 4 * 8));
  const old = await run([18, 3, 16, 4, 5, 6], { outputs: wanted }, { json: { ...config, eos_token_id: 2 } });
  expect(old['pooler_output']).toEqual(old['last_hidden_state']?.slice(0, 8));
});

test('ids beyond the vocabulary read the added embeddings', async () => {
  const table = 'text_model.embeddings.token_embedding.weight';
  const rows = tensors[table]?.data ?? new Float32Array();
  const added = {
    data: Float32Array.of(...rows.slice(4 * 8, 5 * 8), ...rows.slice(3 * 8, 4 * 8)),
    shape: [2, 8],
  };
  const inverted = await run(
    [18, 21, 20, 19, 19, 19],
    { addedEmbeddings: true },
    { extra: { added_embeddings: added } },
  );
  expect(inverted).toEqual(await run(ids, {}));
  // They are no ends of the text where the largest id is.
  const old = { json: { ...config, eos_token_id: 2 } };
  const pooled = await run(
    [18, 21, 20, 19, 19, 19],
    { addedEmbeddings: true },
    { ...old, extra: { added_embeddings: added } },
  );
  expect(pooled).toEqual(await run(ids, {}, old));
});
