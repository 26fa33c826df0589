import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recogniseWeights } from '#weights/recognise.ts';
import type { TensorSource, TensorType } from '#weights/tensor-source.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { clipVisionShapes, ipAdapterShapes, projectionShapes } from '../../support/tiny-image-prompt.ts';
import { headerOf } from './tensors.ts';

type Row = [original: string, diffusers: string, shape: number[]];
const rows = (list: unknown) => list as Row[];
const sd15 = [...rows(names.sd15.unet), ...rows(names.sd15.vae), ...rows(names.sd15.text_encoder)];

function fileOf(
  tensors: readonly (readonly [name: string, shape: readonly number[]])[],
  type: TensorType = 'float16',
) {
  return headerOf(tensors.map(([name, shape]) => ({ name, type, shape })));
}

const original = (list: readonly Row[]): TensorSource => fileOf(list.map(([name, , shape]) => [name, shape]));
const diffusers = (list: readonly Row[]): TensorSource =>
  fileOf(list.map(([, name, shape]) => [name, shape]));

test('a checkpoint of SD 1.5, with its sizes', () => {
  const { bytes, ...facts } = recogniseWeights(original(sd15));
  expect(facts).toEqual({
    kind: 'checkpoint',
    family: 'sd1',
    components: ['unet', 'vae', 'text_encoder'],
    variant: 'text-to-image',
    prediction: null,
    zeroTerminalSnr: false,
    adapter: null,
    type: 'float16',
    tensors: 1130,
    parameters: 1_066_235_307,
    unknown: [],
    problem: null,
  });
  expect(bytes.exact).toBe(2 * 1_066_235_307);
  // A little over half: a byte for a number, and a scale (and zero point) for each channel or block.
  expect(bytes.int8 / bytes.exact).toBeCloseTo(0.58, 2);
  expect(bytes.int4 / bytes.exact).toBeCloseTo(0.5, 2);
});

test('an inpainting model by the nine channels of its first convolution', () => {
  const inpaint = sd15.map(([name, diffusersName, shape]): Row => {
    const isFirst = name === 'model.diffusion_model.input_blocks.0.0.weight';
    return [name, diffusersName, isFirst ? [320, 9, 3, 3] : shape];
  });
  expect(recogniseWeights(original(inpaint))).toMatchObject({
    kind: 'checkpoint',
    family: 'sd1',
    variant: 'inpaint',
  });
});

test('a checkpoint without its text encoders is called incomplete', () => {
  const file = original([...rows(names.sdxl.unet), ...rows(names.sd15.vae)]);
  expect(recogniseWeights(file)).toMatchObject({
    kind: 'checkpoint',
    family: 'sdxl',
    problem: 'It is incomplete: it has no text_encoder and no text_encoder_2.',
  });
});

test.each([
  ['a UNet in its original names', original(rows(names.sd15.unet)), { kind: 'unet', family: 'sd1' }],
  ["a UNet in diffusers' names", diffusers(rows(names.sdxl.unet)), { kind: 'unet', family: 'sdxl' }],
  ["a VAE in diffusers' names", diffusers(rows(names.sd15.vae)), { kind: 'vae', family: null }],
  ['a text encoder', diffusers(rows(names.sd15.text_encoder)), { kind: 'text-encoder', family: 'sd1' }],
  [
    "SDXL's second text encoder",
    fileOf(names.sdxl.text_encoder_2_diffusers_names as [string, number[]][]),
    { kind: 'text-encoder', family: 'sdxl', components: ['text_encoder_2'] },
  ],
  [
    'a ControlNet',
    fileOf([
      ['controlnet_cond_embedding.conv_in.weight', [16, 3, 3, 3]],
      ['conv_in.weight', [320, 4, 3, 3]],
      ['down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight', [320, 768]],
    ]),
    { kind: 'controlnet', family: 'sd1' },
  ],
  [
    "TAESD's decoder",
    fileOf([
      ['1.weight', [64, 4, 3, 3]],
      ['3.conv.0.weight', [64, 64, 3, 3]],
    ]),
    { kind: 'taesd' },
  ],
  [
    'an ESRGAN upscaler',
    fileOf([
      ['conv_first.weight', [64, 3, 3, 3]],
      ['body.0.rdb1.conv1.weight', [32, 64, 3, 3]],
    ]),
    { kind: 'upscaler', family: null },
  ],
  [
    'an IP-Adapter',
    fileOf([
      ['image_proj.proj.weight', [3072, 1024]],
      ['ip_adapter.1.to_k_ip.weight', [320, 768]],
    ]),
    { kind: 'ip-adapter', family: 'sd1', components: ['ip_adapter'] },
  ],
  [
    'an IP-Adapter Plus for SDXL',
    fileOf(Object.entries({ ...projectionShapes.plus(1280, 2048), ...ipAdapterShapes([640], 2048) })),
    { kind: 'ip-adapter', family: 'sdxl' },
  ],
  [
    'an IP-Adapter Full',
    fileOf(Object.entries({ ...projectionShapes.full(1280, 768), ...ipAdapterShapes([320], 768) })),
    { kind: 'ip-adapter', family: 'sd1' },
  ],
  [
    'a CLIP vision model',
    fileOf(Object.entries(clipVisionShapes())),
    { kind: 'clip-vision', family: null, components: ['image_encoder'] },
  ],
  [
    'a whole CLIP, of which images need one half',
    fileOf([
      ...Object.entries(clipVisionShapes()),
      ['text_model.encoder.layers.0.mlp.fc1.weight', [3072, 768]],
      ['text_projection.weight', [768, 768]],
      ['logit_scale', []],
    ]),
    { kind: 'clip-vision', family: null, components: ['image_encoder'] },
  ],
  ['a T2I adapter', fileOf([['body.0.block1.weight', [320, 320, 3, 3]]]), { kind: 't2i-adapter' }],
  ['an embedding for SD 2.x', fileOf([['emb_params', [4, 1024]]]), { kind: 'embedding', family: 'sd2' }],
  [
    'an embedding for SDXL',
    fileOf([
      ['clip_l', [4, 768]],
      ['clip_g', [4, 1280]],
    ]),
    { kind: 'embedding', family: 'sdxl' },
  ],
])('%s', (_, file, expected) => {
  expect(recogniseWeights(file)).toMatchObject({ ...expected, problem: null });
});

test.each([
  ['with a LoRA', { 'ip_adapter.0.to_q_lora.down.weight': [128, 320] }],
  ['Plus', { 'image_proj.perceiver_resampler.proj_in.weight': [768, 1280] }],
  ['of a portrait', { 'image_proj.proj.0.weight': [1024, 512], 'image_proj.norm.weight': [768] }],
])('an IP-Adapter FaceID %s needs another network', (_, shapes) => {
  const tensors = Object.entries({ ...shapes, ...ipAdapterShapes([320], 768) });
  const { kind, problem } = recogniseWeights(fileOf(tensors));
  expect(kind).toBe('ip-adapter');
  expect(problem).toMatch(/^It is an IP-Adapter FaceID, which needs a face recognition network/);
});

test('a part of an IP-Adapter is of no use', () => {
  const { kind, problem } = recogniseWeights(fileOf(Object.entries(projectionShapes.plain(1024, 768))));
  expect(kind).toBe('ip-adapter');
  expect(problem).toBe('It is only a part of an IP-Adapter, and of no use alone.');
});

const ATTENTION = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k';
test.each([
  ['LoRA for SD 1.x', [[`${ATTENTION}.lora_down.weight`, [8, 768]]], { adapter: 'lora', family: 'sd1' }],
  ['LoRA for SD 2.x', [[`${ATTENTION}.lora_down.weight`, [8, 1024]]], { adapter: 'lora', family: 'sd2' }],
  [
    'LoRA for SDXL',
    [['unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v.lora_A.weight', [8, 2048]]],
    { adapter: 'lora', family: 'sdxl' },
  ],
  [
    "LoRA for SDXL's text encoders only",
    [['lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight', [8, 1280]]],
    { adapter: 'lora', family: 'sdxl' },
  ],
  [
    'LoCon',
    [
      [`${ATTENTION}.lora_down.weight`, [8, 768]],
      ['lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight', [8, 320, 3, 3]],
    ],
    { adapter: 'locon', family: 'sd1' },
  ],
  ['LoHa', [[`${ATTENTION}.hada_w1_b`, [8, 768]]], { adapter: 'loha', family: 'sd1' }],
  ['LoKr', [[`${ATTENTION}.lokr_w1`, [8, 8]]], { adapter: 'lokr', family: null }],
  [
    'DoRA',
    [
      [`${ATTENTION}.dora_scale`, [320, 1]],
      [`${ATTENTION}.lora_down.weight`, [8, 768]],
    ],
    { adapter: 'dora', problem: 'Adapters of this kind change weights in a way this engine does not.' },
  ],
] as const)('%s', (_, tensors, expected) => {
  expect(recogniseWeights(fileOf(tensors))).toMatchObject({ kind: 'lora', ...expected });
});

test.each([
  ['Flux', 'double_blocks.0.img_attn.qkv.weight', 'unknown'],
  ['Flux', 'lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight', 'lora'],
  ['Stable Diffusion 3', 'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight', 'unknown'],
])('a file for %s is named, and said not to run: %s', (family, name, kind) => {
  expect(recogniseWeights(fileOf([[name, [8, 8]]]))).toMatchObject({
    kind,
    family: 'other',
    problem: `This is for ${family}, which this engine does not run.`,
  });
});

test('weights that another program scaled are not taken at face value', () => {
  const file = fileOf([
    ...rows(names.sd15.unet).map(([name, , shape]) => [name, shape] as const),
    ['model.diffusion_model.middle_block.0.in_layers.2.scale_weight', []],
  ]);
  expect(recogniseWeights(file)).toMatchObject({
    kind: 'unet',
    family: 'sd1',
    problem: 'Another program quantised its weights in a way this engine does not read.',
  });
});

test('a file nobody knows', () => {
  expect(recogniseWeights(fileOf([['wte.weight', [50257, 768]]], 'bfloat16'))).toMatchObject({
    kind: 'unknown',
    type: 'bfloat16',
    problem: 'It is not known what this file is for.',
  });
});

test('what a UNet predicts is known if the file says so', () => {
  const unet = original(rows(names.sdxl.unet));
  const marked: TensorSource = {
    ...unet,
    names: () => [...unet.names(), 'v_pred'],
    info: (name) => (name === 'v_pred' ? { name, type: 'float32', shape: [0] } : unet.info(name)),
  };
  expect(recogniseWeights(unet).prediction).toBeNull();
  expect(recogniseWeights(marked).prediction).toBe('v_prediction');
  expect(recogniseWeights({ ...unet, metadata: { 'modelspec.prediction_type': 'epsilon' } }).prediction).toBe(
    'epsilon',
  );
});

describe('marks of how a model was trained', () => {
  const unet = original(rows(names.sdxl.unet));
  const marked = (...marks: readonly string[]): TensorSource => ({
    ...unet,
    names: () => [...unet.names(), ...marks],
    info: (name) => (marks.includes(name) ? { name, type: 'float32', shape: [0] } : unet.info(name)),
  });
  const noted = (metadata: Record<string, string>) => ({ ...unet, metadata });

  test.each([
    ['none', unet, { prediction: null, zeroTerminalSnr: false }],
    ['v_pred', marked('v_pred'), { prediction: 'v_prediction', zeroTerminalSnr: false }],
    ['v_pred and ztsnr', marked('v_pred', 'ztsnr'), { prediction: 'v_prediction', zeroTerminalSnr: true }],
    ['ztsnr', marked('ztsnr'), { prediction: null, zeroTerminalSnr: true }],
    ["the trainer's note", noted({ ss_zero_terminal_snr: 'True' }), { zeroTerminalSnr: true }],
    ['the note that it has none', noted({ ss_zero_terminal_snr: 'False' }), { zeroTerminalSnr: false }],
    ['V', noted({ 'modelspec.prediction_type': 'V' }), { prediction: 'v_prediction' }],
    ['Epsilon', noted({ 'modelspec.prediction_type': ' Epsilon' }), { prediction: 'epsilon' }],
  ])('%s', (_, file, expected) => {
    expect(recogniseWeights(file)).toMatchObject({ ...expected, problem: null });
  });

  test.each([
    ['EDM of Playground 2.5', marked('edm_mean', 'edm_std'), /Playground/],
    [
      'EDM with v-prediction',
      marked('edm_vpred.sigma_max', 'v_pred'),
      /EDM's noise levels with v-prediction/,
    ],
    ['x0', noted({ 'modelspec.prediction_type': 'x0' }), /predicts “x0”/],
    ['flow matching', noted({ 'modelspec.prediction_type': 'flow' }), /predicts “flow”/],
  ])('%s is said not to run', (_, file, problem) => {
    expect(recogniseWeights(file).problem).toMatch(problem);
  });
});

describe('an ESRGAN file', () => {
  const plain = ['conv_first.weight', 'body.0.rdb1.conv1.weight', 'conv_last.weight'];
  const shaped = (list: readonly string[]) => fileOf(list.map((name) => [name, [4, 4, 3, 3]] as const));

  test.each([
    ['plain', plain],
    ['an average beside the weights', plain.flatMap((name) => [`params_ema.${name}`, `params.${name}`])],
    ['in a wrapper', plain.map((name) => `module.${name}`)],
  ])('%s', (_, list) => {
    expect(recogniseWeights(shaped(list))).toMatchObject({ kind: 'upscaler', problem: null });
  });

  test('with more layers than the network has is named, not run without them', () => {
    const nested = [
      'model.0.weight',
      'model.1.sub.0.RDB1.conv1.0.weight',
      'model.1.sub.0.RDB1.conv1x1.weight',
    ];
    expect(recogniseWeights(shaped(nested)).problem).toContain('conv1x1');
  });
});

test('any names and shapes get an answer', () => {
  const known = [
    ...sd15.flatMap(([name, other]) => [name, other]),
    'transformer.resblocks.0.attn.in_proj_weight',
    'lora_unet_mid_block_attentions_0_proj_in.lora_down.weight',
    'input_hint_block.0.weight',
    'emb_params',
    'clip_l',
    'clip_g',
    'model.0.weight',
  ];
  const tensor = fc.record({
    name: fc.oneof(
      fc.constantFrom(...known),
      fc.string(),
      fc.constantFrom('__proto__', 'constructor.weight'),
    ),
    type: fc.constantFrom<TensorType>('float32', 'bfloat16', 'int8'),
    shape: fc.array(fc.nat(3000), { maxLength: 5 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 30 }), (tensors) => {
      const { kind, problem, tensors: count } = recogniseWeights(headerOf(tensors));
      return count === tensors.length && (kind !== 'unknown' || problem !== null);
    }),
  );
});
