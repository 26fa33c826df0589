import { expect, test } from 'vitest';
import { buildIpAdapterProjection, ipAdapterModules } from '#engine/architectures/ip-adapter.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

type Rows = number[][];
type Tensors = ReturnType<typeof randomTensors>;

/** What torch's modules compute, in plain loops over rows. */
function torch(tensors: Tensors) {
  const data = (name: string) => tensors[name]?.data ?? new Float32Array();
  return {
    linear: (rows: Rows, name: string): Rows => {
      const [out = 0, width = 0] = tensors[`${name}.weight`]?.shape ?? [];
      const [weight, bias] = [data(`${name}.weight`), data(`${name}.bias`)];
      return rows.map((row) =>
        Array.from({ length: out }, (_, o) =>
          row.reduce((sum, value, i) => sum + value * (weight[o * width + i] ?? NaN), bias[o] ?? 0),
        ),
      );
    },
    layerNorm: (rows: Rows, name: string): Rows => {
      const [weight, bias] = [data(`${name}.weight`), data(`${name}.bias`)];
      return rows.map((row) => {
        const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
        const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
        return row.map(
          (value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (weight[i] ?? 1) + (bias[i] ?? 0),
        );
      });
    },
  };
}

function attend(queries: Rows, keys: Rows, values: Rows, heads: number): Rows {
  const size = (queries[0]?.length ?? 0) / heads;
  return queries.map((query) =>
    Array.from({ length: heads }, (_, head) => {
      const part = (row: number[]) => row.slice(head * size, (head + 1) * size);
      const scores = keys.map((key) => {
        const other = part(key);
        return Math.exp(
          part(query).reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0) / Math.sqrt(size),
        );
      });
      const total = scores.reduce((sum, score) => sum + score, 0);
      return Array.from({ length: size }, (_, i) =>
        values.reduce((sum, value, k) => sum + ((scores[k] ?? 0) / total) * (part(value)[i] ?? 0), 0),
      );
    }).flat(),
  );
}

/** x·Φ(x), with Φ summed as a series: exact enough for small x. */
function gelu(rows: Rows): Rows {
  return rows.map((row) =>
    row.map((x) => {
      let [term, sum] = [x, x];
      for (let k = 1; k < 60; k++) sum += term *= (x * x) / (2 * k + 1);
      return x * (0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI));
    }),
  );
}

async function run(
  tensors: Tensors,
  input: string,
  data: Float32Array,
  shape: number[],
): Promise<Float32Array> {
  const weights = tensorsOf(tensors);
  const graph = buildIpAdapterProjection({ cross_attention_dim: 8 }, { weights });
  expect(graph.unused).toEqual([]);
  const session = await openGraph(graph, weights, {});
  const { ip_hidden_states: tokens } = await session.run({ [input]: { data, shape } });
  await session.release();
  return tokens?.data ?? new Float32Array();
}

test('the plain adapter makes tokens of an embedding', async () => {
  const tensors = randomTensors({
    'image_proj.proj.weight': [32, 6],
    'image_proj.proj.bias': [32],
    'image_proj.norm.weight': [8],
    'image_proj.norm.bias': [8],
  });
  const embedding = pseudoRandom(6);
  const { linear, layerNorm } = torch(tensors);
  const [row = []] = linear([[...embedding]], 'image_proj.proj');
  const expected = layerNorm(
    [0, 1, 2, 3].map((token) => row.slice(token * 8, token * 8 + 8)),
    'image_proj.norm',
  );
  const tokens = await run(tensors, 'image_embeds', embedding, [1, 6]);
  expect(relativeError(tokens, Float32Array.from(expected.flat()))).toBeLessThan(1e-5);
});

test('the Plus adapter asks the image with learned queries', async () => {
  const layer = 'image_proj.layers.0';
  const tensors = randomTensors({
    'image_proj.latents': [1, 3, 16],
    'image_proj.proj_in.weight': [16, 10],
    'image_proj.proj_in.bias': [16],
    [`${layer}.0.norm1.weight`]: [16],
    [`${layer}.0.norm1.bias`]: [16],
    [`${layer}.0.norm2.weight`]: [16],
    [`${layer}.0.norm2.bias`]: [16],
    [`${layer}.0.to_q.weight`]: [128, 16],
    [`${layer}.0.to_kv.weight`]: [256, 16],
    [`${layer}.0.to_out.weight`]: [16, 128],
    [`${layer}.1.0.weight`]: [16],
    [`${layer}.1.0.bias`]: [16],
    [`${layer}.1.1.weight`]: [64, 16],
    [`${layer}.1.3.weight`]: [16, 64],
    'image_proj.proj_out.weight': [8, 16],
    'image_proj.proj_out.bias': [8],
    'image_proj.norm_out.weight': [8],
    'image_proj.norm_out.bias': [8],
  });
  const features = pseudoRandom(5 * 10);
  const { linear, layerNorm } = torch(tensors);
  const rows = (data: Float32Array, width: number): Rows =>
    Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
  const plus = (a: Rows, b: Rows): Rows =>
    a.map((row, i) => row.map((value, j) => value + (b[i]?.[j] ?? NaN)));

  const image = linear(rows(features, 10), 'image_proj.proj_in');
  let latents = rows(tensors['image_proj.latents']?.data ?? new Float32Array(), 16);
  const queries = layerNorm(latents, `${layer}.0.norm2`);
  const both = linear([...layerNorm(image, `${layer}.0.norm1`), ...queries], `${layer}.0.to_kv`);
  const [keys, values] = [both.map((row) => row.slice(0, 128)), both.map((row) => row.slice(128))];
  const attended = attend(linear(queries, `${layer}.0.to_q`), keys, values, 2);
  latents = plus(latents, linear(attended, `${layer}.0.to_out`));
  const inner = gelu(linear(layerNorm(latents, `${layer}.1.0`), `${layer}.1.1`));
  latents = plus(latents, linear(inner, `${layer}.1.3`));
  const expected = layerNorm(linear(latents, 'image_proj.proj_out'), 'image_proj.norm_out');

  const tokens = await run(tensors, 'hidden_states', features, [1, 5, 10]);
  expect(relativeError(tokens, Float32Array.from(expected.flat()))).toBeLessThan(1e-4);
});

test('the attentions are numbered down, up, mid', () => {
  const modules = ipAdapterModules({
    down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  });
  expect(modules).toHaveLength(16);
  expect(modules[0]).toBe('down_blocks.0.attentions.0.transformer_blocks.0.attn2');
  expect(modules[6]).toBe('up_blocks.1.attentions.0.transformer_blocks.0.attn2');
  expect(modules[15]).toBe('mid_block.attentions.0.transformer_blocks.0.attn2');
});
