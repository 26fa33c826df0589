import { openAsBlob } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readFloat32 } from '#weights/casts.ts';
import type { Component } from '#weights/checkpoint.ts';
import { parseLora } from '#weights/lora.ts';
import { matchLora, openTargets } from '#weights/match-lora.ts';
import { lowRankFactors, mergeLoras } from '#weights/merge-loras.ts';
import { multiply } from '#weights/low-rank.ts';
import { dequantiseTensors, quantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { recogniseWeights } from '#weights/recognise.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { readTextualInversion } from '#weights/textual-inversion.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { cases } from '../../parity/lora.ts';
import { headerOf, tensorsOf, valuesOf } from './tensors.ts';

type Row = [original: string, diffusers: string, shape: number[]];

/** Numbers that differ from one another, for tensors whose content does not matter otherwise. */
function some(shape: readonly number[], seed = 1): readonly [readonly number[], number[]] {
  const count = shape.reduce((a, b) => a * b, 1);
  return [shape, Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233))];
}

/** A UNet with one linear layer, one 3×3 convolution and one norm. */
const base = {
  'down_blocks.0.resnets.0.conv1.weight': some([4, 3, 3, 3], 10),
  'down_blocks.0.resnets.0.conv1.bias': some([4], 11),
  'down_blocks.0.resnets.1.norm1.weight': some([4], 14),
  'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight': some([6, 5], 12),
  'mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.weight': some([5, 6], 13),
} as const;
const LINEAR = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight';
const CONV = 'down_blocks.0.resnets.0.conv1.weight';
/** kohya's names for them. */
const FLAT = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q';
const CONV_PATH = 'lora_unet_down_blocks_0_resnets_0_conv1';
const model = new Map<Component, TensorSource>([['unet', tensorsOf(base)]]);

/** left · right for matrices given as [shape, values]; further dimensions count as columns. */
function product(
  left: readonly [readonly number[], number[]],
  right: readonly [readonly number[], number[]],
): number[] {
  const [rows = 1] = left[0];
  const [rank = 1] = right[0];
  const columns = right[1].length / rank;
  return Array.from({ length: rows * columns }, (_, i) => {
    let sum = 0;
    for (let r = 0; r < rank; r++) {
      sum +=
        (left[1][Math.floor(i / columns) * rank + r] ?? 0) * (right[1][r * columns + (i % columns)] ?? 0);
    }
    return sum;
  });
}

/** What the LoRA adds to the model's tensor. */
async function added(lora: Parameters<typeof tensorsOf>[0], name: keyof typeof base, strength = 1) {
  const merged = mergeLoras(model, [{ lora: parseLora(tensorsOf(lora), 'test.safetensors'), strength }]).get(
    'unet',
  );
  if (!merged) throw new Error('no UNet');
  const before = Float32Array.from(base[name][1]);
  return (await valuesOf(merged, name)).map((value, i) => value - (before[i] ?? 0));
}

function expectClose(actual: Float32Array, expected: readonly number[]) {
  expect(actual.length).toBe(expected.length);
  const error = Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN))));
  expect(error).toBeLessThan(1e-5);
}

describe('the same linear layer in every style of names', () => {
  const up = some([6, 2], 1);
  const down = some([2, 5], 2);
  const whole = 'mid_block.attentions.0.transformer_blocks.0.attn1';
  const flat = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q';
  test.each([
    ['kohya', `${flat}.lora_up.weight`, `${flat}.lora_down.weight`],
    [
      'kohya, original block names',
      'lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_up.weight',
      'lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_down.weight',
    ],
    ['PEFT in diffusers', `unet.${whole}.to_q.lora_B.weight`, `unet.${whole}.to_q.lora_A.weight`],
    [
      'PEFT alone',
      `base_model.model.${whole}.to_q.lora_B.default.weight`,
      `base_model.model.${whole}.to_q.lora_A.default.weight`,
    ],
    ['diffusers', `unet.${whole}.to_q.lora.up.weight`, `unet.${whole}.to_q.lora.down.weight`],
    ['early diffusers', `${whole}.processor.to_q_lora.up.weight`, `${whole}.processor.to_q_lora.down.weight`],
    [
      'early diffusers with prefix',
      `unet.${whole}.processor.to_q_lora.up.weight`,
      `unet.${whole}.processor.to_q_lora.down.weight`,
    ],
    [
      'original names with dots',
      'diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.lora_up.weight',
      'diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.lora_down.weight',
    ],
  ])('%s', async (_, upName, downName) => {
    expectClose(await added({ [upName]: up, [downName]: down }, LINEAR), product(up, down));
  });
});

test('alpha over rank and the strength scale the change', async () => {
  const up = some([6, 2], 1);
  const down = some([2, 5], 2);
  const lora = {
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight': up,
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight': down,
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.alpha': [[], [0.5]] as const,
  };
  expectClose(
    await added(lora, LINEAR, -3),
    product(up, down).map((value) => value * -3 * (0.5 / 2)),
  );
});

test("PEFT's alpha comes from the metadata diffusers writes", async () => {
  const up = some([6, 2], 1);
  const down = some([2, 5], 2);
  const layer = 'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q';
  const metadata = { lora_adapter_metadata: JSON.stringify({ 'unet.r': 2, 'unet.lora_alpha': 8 }) };
  const file = {
    ...tensorsOf({ [`${layer}.lora_B.weight`]: up, [`${layer}.lora_A.weight`]: down }),
    metadata,
  };
  const merged = mergeLoras(model, [{ lora: parseLora(file, 'peft'), strength: 1 }]).get('unet');
  if (!merged) throw new Error('no UNet');
  const values = await valuesOf(merged, LINEAR);
  expectClose(
    values,
    product(up, down).map((value, i) => (base[LINEAR][1][i] ?? 0) + 4 * value),
  );
});

test('a convolution: 3×3 down, 1×1 up (LoCon)', async () => {
  const up = some([4, 5, 1, 1], 1);
  const down = some([5, 3, 3, 3], 2);
  const lora = {
    'lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight': up,
    'lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight': down,
  };
  expectClose(await added(lora, CONV), product(up, down));
});

test('a convolution taken apart around its kernel (LoCon with lora_mid)', async () => {
  const [rank, channels, kernel] = [2, 3, 9];
  const up = some([4, rank, 1, 1], 1);
  const mid = some([rank, rank, 3, 3], 2);
  const down = some([rank, channels, 1, 1], 3);
  const expected = Array.from({ length: 4 * channels * kernel }, (_, i) => {
    const [o, c, k] = [Math.floor(i / (channels * kernel)), Math.floor(i / kernel) % channels, i % kernel];
    let sum = 0;
    for (let p = 0; p < rank; p++) {
      for (let q = 0; q < rank; q++) {
        sum +=
          (up[1][o * rank + p] ?? 0) *
          (mid[1][(p * rank + q) * kernel + k] ?? 0) *
          (down[1][q * channels + c] ?? 0);
      }
    }
    return sum;
  });
  const lora = {
    'lora_unet_input_blocks_1_0_in_layers_2.lora_up.weight': up,
    'lora_unet_input_blocks_1_0_in_layers_2.lora_mid.weight': mid,
    'lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight': down,
  };
  expectClose(await added(lora, CONV), expected);
});

test('LoHa: the elementwise product of two low-rank matrices', async () => {
  const [w1a, w1b, w2a, w2b] = [some([6, 2], 1), some([2, 5], 2), some([6, 2], 3), some([2, 5], 4)];
  const path = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q';
  const lora = {
    [`${path}.hada_w1_a`]: w1a,
    [`${path}.hada_w1_b`]: w1b,
    [`${path}.hada_w2_a`]: w2a,
    [`${path}.hada_w2_b`]: w2b,
    [`${path}.alpha`]: [[], [1]] as const,
  };
  const second = product(w2a, w2b);
  expectClose(
    await added(lora, LINEAR),
    product(w1a, w1b).map((value, i) => (value * (second[i] ?? 0)) / 2),
  );
});

test('LoKr: the Kronecker product of a small matrix and a low-rank one', async () => {
  const [w1, w2a, w2b] = [some([2, 3], 1), some([2, 1], 2), some([1, 9], 3)];
  const path = 'lora_unet_down_blocks_0_resnets_0_conv1';
  const second = product(w2a, w2b);
  const expected = Array.from({ length: 4 * 27 }, (_, i) => {
    const [row, column] = [Math.floor(i / 27), i % 27];
    return (
      (w1[1][Math.floor(row / 2) * 3 + Math.floor(column / 9)] ?? 0) *
      (second[(row % 2) * 9 + (column % 9)] ?? 0)
    );
  });
  const lora = { [`${path}.lokr_w1`]: w1, [`${path}.lokr_w2_a`]: w2a, [`${path}.lokr_w2_b`]: w2b };
  expectClose(await added(lora, CONV), expected);
});

test('plain differences of weights, biases and norms', async () => {
  const difference = some([4], 5);
  const path = 'lora_unet_down_blocks_0_resnets';
  const lora = { [`${path}_0_conv1.diff_b`]: difference, [`${path}_1_norm1.w_norm`]: difference };
  expectClose(
    await added(lora, 'down_blocks.0.resnets.0.conv1.bias', 0.5),
    difference[1].map((value) => value / 2),
  );
  expectClose(await added(lora, 'down_blocks.0.resnets.1.norm1.weight'), difference[1]);
});

test('several at once add up; text encoders may have a strength of their own', async () => {
  const encoder = 'text_model.encoder.layers.0.self_attn.q_proj';
  const both = new Map<Component, TensorSource>([
    ['unet', tensorsOf(base)],
    ['text_encoder', tensorsOf({ [`${encoder}.weight`]: [[1, 1], [10]] })],
  ]);
  const one = parseLora(
    tensorsOf({
      'lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight': [[1, 1], [2]],
      'lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight': [[1, 1], [1]],
    }),
    'one',
  );
  const other = parseLora(
    tensorsOf({
      [`text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight`]: [[1, 1], [3]],
      [`text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.down.weight`]: [[1, 1], [1]],
    }),
    'other',
  );
  const merged = mergeLoras(both, [
    { lora: one, strength: 9, textEncoderStrength: 0.5 },
    { lora: other, strength: -1 },
  ]);
  const source = merged.get('text_encoder');
  if (!source) throw new Error('no text encoder');
  expect([...(await valuesOf(source, `${encoder}.weight`))]).toEqual([10 + 0.5 * 2 - 3]);
  expect(merged.get('unet')).toBe(both.get('unet'));
});

test('a quantised model is changed as well, and only where the LoRA changes it', async () => {
  const layer = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight';
  const exact = tensorsOf({ [layer]: some([4, 64]), 'conv_in.weight': some([4, 4, 3, 3]) });
  const quantised = quantiseTensors(exact, ({ shape }) =>
    shape.length === 4 ? 'int8-channels' : 'int8-blocks',
  );
  const up = some([4, 1], 1);
  const down = some([1, 64], 2);
  const path = 'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q';
  const lora = parseLora(
    tensorsOf({ [`${path}.lora.up.weight`]: up, [`${path}.lora.down.weight`]: down }),
    'lora',
  );
  const merged = mergeLoras(new Map([['unet', quantised]]), [{ lora, strength: 2 }]).get('unet');
  if (!merged) throw new Error('no UNet');

  expect([...merged.names()]).toEqual([...quantised.names()]);
  expect(merged.info(layer)).toEqual(quantised.info(layer));
  const change = product(up, down);
  const values = await readFloat32(dequantiseTensors(merged), layer);
  const before = await readFloat32(exact, layer);
  const error = Math.max(
    ...values.map((value, i) => Math.abs(value - (before[i] ?? NaN) - 2 * (change[i] ?? NaN))),
  );
  expect(error).toBeLessThan(0.03);
  expect(await merged.read('conv_in.weight')).toEqual(await quantised.read('conv_in.weight'));
});

test('what no LoRA changes keeps its type and its place in the file', () => {
  const file = headerOf(Object.entries(base).map(([name, [shape]]) => ({ name, type: 'float16', shape })));
  const lora = parseLora(
    tensorsOf({
      'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.up.weight': some([6, 1]),
      'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight': some([1, 5]),
    }),
    'lora',
  );
  const unet = mergeLoras(new Map([['unet', file]]), [{ lora, strength: 1 }]).get('unet');
  expect(unet?.info(LINEAR)?.type).toBe('float32');
  expect(unet?.location?.(LINEAR)).toBeUndefined();
  expect(unet?.info(CONV)?.type).toBe('float16');
  expect(unet?.location?.(CONV)).toEqual(file.location?.(CONV));
});

test.each([
  [
    'DoRA',
    { 'lora_unet_mid_block_attentions_0_proj_in.dora_scale': some([4, 1]) },
    'unsupported_feature',
    /DoRA.*cannot be merged/,
  ],
  [
    'OFT',
    { 'lora_unet_mid_block_attentions_0_proj_in.oft_blocks': some([4, 1]) },
    'unsupported_feature',
    /OFT/,
  ],
  ['no LoRA', { 'conv_in.weight': some([4, 1]) }, 'invalid_request', /is not a LoRA/],
  [
    'a LoRA for Flux',
    {
      'transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight': some([1, 1]),
      'text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight': some([1, 1]),
    },
    'unsupported_feature',
    /such as "transformer.single/,
  ],
])('%s is refused with the reason', (_, tensors, code, message) => {
  expect(() => parseLora(tensorsOf(tensors), 'style.safetensors')).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
  );
});

test.each([
  [
    'a module the model lacks',
    'lora_unet_down_blocks_2_attentions_0_proj_in',
    some([6, 2]),
    some([2, 5]),
    /no "down_blocks_2_att/,
  ],
  [
    'other shapes',
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q',
    some([6, 2]),
    some([2, 7]),
    /shapes at "mid_block.*do not fit/,
  ],
  [
    'ranks that differ',
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q',
    some([6, 3]),
    some([2, 5]),
    /do not fit/,
  ],
])('%s: refused before any work', (_, path, up, down, message) => {
  const lora = parseLora(
    tensorsOf({ [`${path}.lora_up.weight`]: up, [`${path}.lora_down.weight`]: down }),
    'other',
  );
  expect(() => mergeLoras(model, [{ lora, strength: 1 }])).toThrow(
    expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(message) as string }),
  );
});

describe('what a LoRA has besides', () => {
  const up = some([6, 2], 1);
  const down = some([2, 5], 2);
  const pair = { [`${FLAT}.lora_up.weight`]: up, [`${FLAT}.lora_down.weight`]: down };

  test.each([
    ['position numbers', { 'text_encoder.text_model.embeddings.position_ids': some([1, 77]) }],
    ['an alpha without a pair', { [`${CONV_PATH}.alpha`]: some([]) }],
    ['half a pair', { [`${CONV_PATH}.lora_up.weight`]: some([4, 2, 1, 1]) }],
    [
      'half of a LoHa',
      { [`${CONV_PATH}.hada_w1_a`]: some([4, 2]), [`${CONV_PATH}.hada_w1_b`]: some([2, 27]) },
    ],
    ['a counter of the trainer', { step: some([]) }],
  ])('%s: skipped and named, the rest applies', async (_, others) => {
    const lora = parseLora(tensorsOf({ ...pair, ...others }), 'lora');
    expect(lora.unknown).toEqual(Object.keys(others));
    expectClose(await added({ ...pair, ...others }, LINEAR), product(up, down));
    expectClose(await added({ ...pair, ...others }, CONV), Array<number>(108).fill(0));
  });

  test.each([
    [
      'a module the model lacks',
      {
        'lora_unet_down_blocks_2_attentions_0_proj_in.lora_up.weight': some([6, 2]),
        'lora_unet_down_blocks_2_attentions_0_proj_in.lora_down.weight': some([2, 5]),
      },
      'down_blocks_2_attentions_0_proj_in',
    ],
    [
      'a text encoder the model lacks',
      {
        'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': some([6, 2]),
        'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': some([2, 5]),
      },
      'text_model_encoder_layers_0_mlp_fc1',
    ],
    [
      'a convolution of other channels, as the first of inpainting models is',
      {
        [`${CONV_PATH}.lora_up.weight`]: some([4, 2, 1, 1]),
        [`${CONV_PATH}.lora_down.weight`]: some([2, 9, 3, 3]),
      },
      'down_blocks_0_resnets_0_conv1',
    ],
    ['a bias the model lacks', { [`${FLAT}.diff_b`]: some([6]) }, `${FLAT.slice(10)}.bias`],
  ])('%s: skipped and named, the rest applies', async (_, others, name) => {
    const lora = parseLora(tensorsOf({ ...pair, ...others }), 'lora');
    expect(matchLora(openTargets(model), lora).skipped).toEqual([name]);
    expectClose(await added({ ...pair, ...others }, LINEAR), product(up, down));
  });

  test('but one for another family is refused whole', () => {
    const KEY = 'mid_block.attentions.0.transformer_blocks.0.attn2.to_k';
    const unet = tensorsOf({ ...base, [`${KEY}.weight`]: some([6, 5]) });
    const lora = parseLora(
      tensorsOf({
        ...pair,
        [`unet.${KEY}.lora_B.weight`]: some([6, 2]),
        [`unet.${KEY}.lora_A.weight`]: some([2, 7]),
      }),
      'lora',
    );
    expect(() => matchLora(openTargets(new Map([['unet', unet]])), lora)).toThrow(/another kind of model/);
  });

  test.each([
    ['SD 1.x', { 'bundle_emb.my cat.string_to_param.*': some([2, 768]) }, ['text_encoder']],
    [
      'SDXL',
      { 'bundle_emb.my cat.clip_l': some([2, 768]), 'bundle_emb.my cat.clip_g': some([2, 1280]) },
      ['text_encoder', 'text_encoder_2'],
    ],
    ["OneTrainer's", { 'bundle_emb.my cat.emb_params': some([2, 1024]) }, ['text_encoder']],
  ])('embeddings for %s', async (_, bundled, encoders) => {
    const { embeddings, unknown } = parseLora(tensorsOf({ ...pair, ...bundled }), 'lora');
    expect(unknown).toEqual([]);
    expect([...embeddings.keys()]).toEqual(['my cat']);
    const file = embeddings.get('my cat');
    if (!file) throw new Error('no embedding');
    const { tokens, vectors } = await readTextualInversion(file, 'my cat');
    expect([tokens, [...vectors.keys()]]).toEqual([2, encoders]);
    const [first] = Object.values(bundled);
    expect(vectors.get('text_encoder')?.values).toEqual(Float32Array.from(first?.[1] ?? []));
    expect(recogniseWeights(tensorsOf(bundled))).toMatchObject({ kind: 'lora', problem: null });
  });

  test('vectors for what encoders put out, which OneTrainer adds, and those of no known width are skipped', () => {
    const bundled = {
      'bundle_emb.cat.clip_l': some([1, 768]),
      'bundle_emb.cat.clip_g': some([1, 1280]),
      'bundle_emb.cat.clip_l_out': some([1, 768]),
      'bundle_emb.dog.vector': some([1, 100]),
    };
    const lora = parseLora(tensorsOf({ ...pair, ...bundled }), 'lora');
    expect([...lora.embeddings.keys()]).toEqual(['cat']);
    expect(lora.unknown).toEqual(['bundle_emb.cat.clip_l_out', 'bundle_emb.dog.vector']);
  });
});

test('a module under both of its names counts once', async () => {
  const up = some([6, 2], 1);
  const down = some([2, 5], 2);
  const ends = 'transformer_blocks_0_attn1_to_q.lora_';
  const lora = Object.fromEntries(
    ['lora_unet_mid_block_attentions_0', 'lora_unet_middle_block_1'].flatMap((block) => [
      [`${block}_${ends}up.weight`, up],
      [`${block}_${ends}down.weight`, down],
    ]),
  );
  expectClose(await added(lora, LINEAR), product(up, down));
});

test('a LoRA without its up tensor is called incomplete', () => {
  const parse = (tensors: Parameters<typeof tensorsOf>[0]) => () => parseLora(tensorsOf(tensors), 'half');
  expect(parse({ [`${FLAT}.lora_down.weight`]: some([2, 5]) })).toThrow(
    /half is incomplete: the up tensor of .* is missing/,
  );
  expect(parse({ [`${CONV_PATH}.alpha`]: [[], [4]] })).toThrow(/half is incomplete/);
});

describe('factors instead of merged weights', () => {
  const MODULE = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q';
  const path = `unet.${MODULE}`;

  const factorsOf = (lora: Parameters<typeof tensorsOf>[0]) =>
    lowRankFactors(model, 'unet', [{ lora: parseLora(tensorsOf(lora), 'lora'), strength: 1 }]);

  test('of any LoRAs in any order multiply to the change of the weight', async () => {
    const lora = fc.record({
      rank: fc.integer({ min: 1, max: 5 }),
      seed: fc.integer({ min: 1, max: 99 }),
      alpha: fc.option(fc.integer({ min: 1, max: 8 })),
      strength: fc.integer({ min: -3, max: 3 }),
    });
    const orders = fc
      .array(lora, { minLength: 1, maxLength: 4 })
      .chain((loras) =>
        fc.tuple(fc.constant(loras), fc.shuffledSubarray(loras, { minLength: loras.length })),
      );
    await fc.assert(
      fc.asyncProperty(orders, async ([loras, shuffled]) => {
        const weighted = (chosen: typeof loras) =>
          chosen.map(({ rank, seed, alpha, strength }) => ({
            strength,
            lora: parseLora(
              tensorsOf({
                [`${path}.lora_B.weight`]: some([6, rank], seed),
                [`${path}.lora_A.weight`]: some([rank, 5], seed + 1),
                ...(alpha !== null && { [`${path}.alpha`]: [[], [alpha]] as const }),
              }),
              'lora',
            ),
          }));
        const factors = (await lowRankFactors(model, 'unet', weighted(shuffled))?.())?.get(MODULE);
        const merged = mergeLoras(model, weighted(loras)).get('unet');
        if (!factors || !merged) throw new Error('There are no factors.');
        const { up, down } = factors;
        expect(down.rows).toBe(loras.reduce((sum, { rank }) => sum + rank, 0));
        const change = multiply(up, down).values;
        const expected = (await valuesOf(merged, LINEAR)).map(
          (value, i) => value - (base[LINEAR][1][i] ?? 0),
        );
        const error = Math.max(...change.map((value, i) => Math.abs(value - (expected[i] ?? NaN))));
        expect(error).toBeLessThan(1e-4);
      }),
    );
  });

  test.each([
    [
      'a LoCon of kernels',
      {
        [`${CONV_PATH}.lora_up.weight`]: some([4, 2, 1, 1]),
        [`${CONV_PATH}.lora_down.weight`]: some([2, 3, 3, 3]),
      },
    ],
    [
      'one taken apart around its kernel',
      {
        [`${CONV_PATH}.lora_up.weight`]: some([4, 2, 1, 1]),
        [`${CONV_PATH}.lora_mid.weight`]: some([2, 2, 3, 3]),
        [`${CONV_PATH}.lora_down.weight`]: some([2, 3, 1, 1]),
      },
    ],
    [
      'a LoHa',
      {
        [`${FLAT}.hada_w1_a`]: some([6, 2]),
        [`${FLAT}.hada_w1_b`]: some([2, 5]),
        [`${FLAT}.hada_w2_a`]: some([6, 2]),
        [`${FLAT}.hada_w2_b`]: some([2, 5]),
      },
    ],
    ['a LoKr', { [`${FLAT}.lokr_w1`]: some([2, 1]), [`${FLAT}.lokr_w2`]: some([3, 5]) }],
    ['a whole difference', { [`${FLAT}.diff`]: some([6, 5]) }],
    [
      'a LoRA with a bias',
      {
        [`${FLAT}.lora_up.weight`]: some([6, 2]),
        [`${FLAT}.lora_down.weight`]: some([2, 5]),
        [`${FLAT}.diff_b`]: some([6]),
      },
    ],
    ['a difference of a norm', { 'lora_unet_down_blocks_0_resnets_1_norm1.w_norm': some([4]) }],
  ] as const)('%s has none', (_, lora) => {
    expect(factorsOf(lora)).toBeUndefined();
  });

  test('are only those of the network asked for', async () => {
    const both = new Map(model).set(
      'text_encoder',
      tensorsOf({ 'text_model.encoder.layers.0.mlp.fc1.weight': some([4, 4]) }),
    );
    const lora = parseLora(
      tensorsOf({
        [`${FLAT}.lora_up.weight`]: some([6, 2]),
        [`${FLAT}.lora_down.weight`]: some([2, 5]),
        'lora_te_text_model_encoder_layers_0_mlp_fc1.diff': some([4, 4]),
      }),
      'both',
    );
    const factors = await lowRankFactors(both, 'unet', [{ lora, strength: 1 }])?.();
    expect([...(factors?.keys() ?? [])]).toEqual([MODULE]);
  });

  test('that do not fit are refused before any work', () => {
    expect(() =>
      factorsOf({ [`${FLAT}.lora_up.weight`]: some([6, 2]), [`${FLAT}.lora_down.weight`]: some([2, 7]) }),
    ).toThrow(/do not fit/);
    expect(() => factorsOf({ [`${FLAT}.lora_up.weight`]: some([6, 2]) })).toThrow(/incomplete/);
    expect(() =>
      factorsOf({
        'lora_unet_nowhere.lora_up.weight': some([6, 2]),
        'lora_unet_nowhere.lora_down.weight': some([2, 5]),
      }),
    ).toThrow(/another kind of model/);
  });
});

describe('every layer of a real UNet is found', () => {
  test.each([
    ['SD 1.5', names.sd15.unet as Row[]],
    ['SDXL', names.sdxl.unet as Row[]],
  ])('%s: by its diffusers and its original name, flat and dotted', (_, rows) => {
    const unet = headerOf(rows.map(([, name, shape]) => ({ name, type: 'float16', shape })));
    const layers = rows.filter(([, , shape]) => shape.length >= 2);
    for (const style of [
      ([, diffusers]: Row) => `lora_unet_${diffusers.replace(/\.weight$/, '').replaceAll('.', '_')}`,
      ([original]: Row) =>
        `lora_unet_${original
          .replace('model.diffusion_model.', '')
          .replace(/\.weight$/, '')
          .replaceAll('.', '_')}`,
      ([, diffusers]: Row) => `unet.${diffusers.replace(/\.weight$/, '')}`,
    ]) {
      const lora = headerOf(
        layers.flatMap((row) => {
          const [rows = 1, ...columns] = row[2];
          return [
            { name: `${style(row)}.lora_up.weight`, type: 'float16', shape: [rows, 4] },
            { name: `${style(row)}.lora_down.weight`, type: 'float16', shape: [4, ...columns] },
          ];
        }),
      );
      const merged = mergeLoras(new Map([['unet', unet]]), [
        { lora: parseLora(lora, 'all'), strength: 1 },
      ]).get('unet');
      const changed = [...(merged?.names() ?? [])].filter((name) => merged?.info(name)?.type === 'float32');
      expect(changed.sort()).toEqual(layers.map(([, name]) => name).sort());
    }
  });
});

test.each([
  ['lora-kohya.safetensors', 49],
  ['lora-peft.safetensors', 49],
])('%s, written by the reference programs', async (file, modules) => {
  const source = await openSafetensors(await openAsBlob(`test/fixtures/models/${file}`), file);
  const lora = parseLora(source, file);
  expect([...lora.components]).toEqual(['unet']);
  expect(lora.modules.length).toBe(modules);
});

test('a UNet with them merged computes what it does in diffusers', async () => {
  const names: string[] = [];
  for await (const { name, error, tolerance } of cases('test/fixtures')) {
    expect(error, name).toBeLessThanOrEqual(tolerance);
    names.push(name);
  }
  expect(names).toEqual(expect.arrayContaining(['lora/kohya_only', 'lora/peft_only', 'lora/both']));
});
