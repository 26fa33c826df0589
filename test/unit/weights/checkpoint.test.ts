import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '#weights/checkpoint.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { elementCount, type TensorSource } from '#weights/tensor-source.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { fileOf, headerOf, tensorsOf, valuesOf } from './tensors.ts';

type Row = [original: string, diffusers: string, shape: number[]];
const rows = (list: unknown) => list as Row[];
const sd15 = [...rows(names.sd15.unet), ...rows(names.sd15.vae), ...rows(names.sd15.text_encoder)];

/** The header of a float16 file with the original names. */
function originalFile(list: readonly Row[]): TensorSource {
  return headerOf(list.map(([original, , shape]) => ({ name: original, type: 'float16', shape })));
}

/** `name [shape]` of every tensor, sorted. */
function listing(source: TensorSource | undefined): string[] {
  if (!source) return [];
  return [...source.names()].map((name) => `${name} [${source.info(name)?.shape.join()}]`).sort();
}

/** What diffusers has, where the VAE's attention is linear. */
function expected(list: readonly Row[]): string[] {
  return list
    .map(([, name, shape]) => {
      const linear =
        (name.includes('mid_block.attentions') && name.startsWith('decoder')) ||
        name.startsWith('encoder.mid_block.attentions');
      return `${name} [${(linear ? shape.slice(0, 2) : shape).join()}]`;
    })
    .sort();
}

describe('every tensor of a real checkpoint is mapped once', () => {
  test('Stable Diffusion 1.5', () => {
    const { components, leftOver } = openCheckpoint(originalFile(sd15));
    expect([...components.keys()].sort()).toEqual(['text_encoder', 'unet', 'vae']);
    expect(listing(components.get('unet'))).toEqual(expected(rows(names.sd15.unet)));
    expect(listing(components.get('vae'))).toEqual(expected(rows(names.sd15.vae)));
    expect(listing(components.get('text_encoder'))).toEqual(expected(rows(names.sd15.text_encoder)));
    expect(leftOver).toEqual([]);
  });

  test('the UNet of SDXL', () => {
    const { components, leftOver } = openCheckpoint(originalFile(rows(names.sdxl.unet)));
    expect(listing(components.get('unet'))).toEqual(expected(rows(names.sdxl.unet)));
    expect(leftOver).toEqual([]);
  });

  test("SDXL's second text encoder, from OpenCLIP's names", () => {
    const wanted = names.sdxl.text_encoder_2_diffusers_names as [string, number[]][];
    const { components, leftOver } = openCheckpoint(openClipFile('conditioner.embedders.1.model.', 32, 1280));
    expect(listing(components.get('text_encoder_2'))).toEqual(
      wanted.map(([name, shape]) => `${name} [${shape.join()}]`).sort(),
    );
    expect(leftOver).toEqual(['conditioner.embedders.1.model.logit_scale']);
  });

  test.each([
    ['UNet', '', 'model.diffusion_model.', rows(names.sd15.unet)],
    ['VAE', '', 'first_stage_model.', rows(names.sd15.vae)],
  ])('a %s alone, without the prefix', (_, replacement, prefix, list) => {
    const { components } = openCheckpoint(
      originalFile(
        list.map(([original, name, shape]) => [original.replace(prefix, replacement), name, shape]),
      ),
    );
    expect(components.size).toBe(1);
    expect([...components.values()].flatMap(listing)).toEqual(expected(list));
  });
});

/** The header of an OpenCLIP text encoder of this many layers. */
function openClipFile(prefix: string, layers: number, width: number): TensorSource {
  const tensors: [string, number[]][] = [
    ['token_embedding.weight', [49408, width]],
    ['positional_embedding', [77, width]],
    ['ln_final.weight', [width]],
    ['ln_final.bias', [width]],
    ['text_projection', [width, width]],
    ['logit_scale', []],
  ];
  for (let i = 0; i < layers; i++) {
    const layer: [string, number[]][] = [
      ['attn.in_proj_weight', [3 * width, width]],
      ['attn.in_proj_bias', [3 * width]],
      ['attn.out_proj.weight', [width, width]],
      ['attn.out_proj.bias', [width]],
      ['ln_1.weight', [width]],
      ['ln_1.bias', [width]],
      ['ln_2.weight', [width]],
      ['ln_2.bias', [width]],
      ['mlp.c_fc.weight', [4 * width, width]],
      ['mlp.c_fc.bias', [4 * width]],
      ['mlp.c_proj.weight', [width, 4 * width]],
      ['mlp.c_proj.bias', [width]],
    ];
    tensors.push(
      ...layer.map(([name, shape]): [string, number[]] => [`transformer.resblocks.${i}.${name}`, shape]),
    );
  }
  return headerOf(tensors.map(([name, shape]) => ({ name: prefix + name, type: 'float16', shape })));
}

test('names change, bytes stay where they are', () => {
  const file = originalFile(sd15);
  const unet = openCheckpoint(file).components.get('unet');
  expect(unet?.location?.('conv_in.weight')).toMatchObject({
    offset: file.location?.('model.diffusion_model.input_blocks.0.0.weight')?.offset,
  });
});

test("OpenCLIP's joined projection is taken apart in place, its text projection is transposed", async () => {
  const range = (shape: readonly number[]): readonly [readonly number[], number[]] => [
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => i),
  ];
  const blob = await fileOf(
    tensorsOf({
      'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight': range([6, 2]),
      'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias': range([6]),
      'cond_stage_model.model.text_projection': range([2, 3]),
    }),
  );
  const file = await openSafetensors(blob, 'sd2.safetensors');
  const encoder = openCheckpoint(file).components.get('text_encoder');
  if (!encoder) throw new Error('no text encoder');
  const layer = 'text_model.encoder.layers.0.self_attn';

  expect([...(await valuesOf(encoder, `${layer}.q_proj.weight`))]).toEqual([0, 1, 2, 3]);
  expect([...(await valuesOf(encoder, `${layer}.v_proj.weight`))]).toEqual([8, 9, 10, 11]);
  expect([...(await valuesOf(encoder, `${layer}.k_proj.bias`))]).toEqual([2, 3]);
  expect(encoder.info('text_projection.weight')?.shape).toEqual([3, 2]);
  expect([...(await valuesOf(encoder, 'text_projection.weight'))]).toEqual([0, 3, 1, 4, 2, 5]);

  const place = encoder.location?.(`${layer}.k_proj.weight`);
  if (!place) throw new Error('no location');
  expect(new Float32Array(await blob.slice(place.offset, place.offset + place.length).arrayBuffer())).toEqual(
    Float32Array.of(4, 5, 6, 7),
  );
  expect(encoder.location?.('text_projection.weight')).toBeUndefined();
});

test('text encoders of early files lack the outer name; stored position numbers are left over', () => {
  const { components, leftOver } = openCheckpoint(
    headerOf([
      {
        name: 'cond_stage_model.transformer.encoder.layers.0.mlp.fc1.weight',
        type: 'float16',
        shape: [8, 2],
      },
      { name: 'cond_stage_model.transformer.embeddings.position_ids', type: 'int64', shape: [1, 77] },
      { name: 'model_ema.decay', type: 'float32', shape: [] },
    ]),
  );
  expect(listing(components.get('text_encoder'))).toEqual([
    'text_model.encoder.layers.0.mlp.fc1.weight [8,2]',
  ]);
  expect(leftOver).toEqual(['cond_stage_model.transformer.embeddings.position_ids', 'model_ema.decay']);
});

test.each([
  [
    'a VAE with the names diffusers used before 0.15',
    ['decoder.up_blocks.0.resnets.0.conv1.weight', 'decoder.mid_block.attentions.0.proj_attn.weight'],
    'decoder.mid_block.attentions.0.to_out.0.weight',
  ],
  [
    'a ControlNet in the original layout',
    ['control_model.input_hint_block.0.weight', 'control_model.zero_convs.3.0.bias'],
    'controlnet_down_blocks.3.bias',
  ],
  ["TAESD's decoder", ['1.weight', '3.conv.0.weight'], 'decoder.layers.2.conv.0.weight'],
  ["TAESD's encoder", ['0.weight', '1.conv.0.weight', '3.conv.0.weight'], 'encoder.layers.3.conv.0.weight'],
  [
    'an ESRGAN upscaler of the older layout',
    [
      'model.0.weight',
      'model.1.sub.0.RDB1.conv1.0.weight',
      'model.1.sub.23.weight',
      'model.3.weight',
      'model.6.weight',
      'model.8.weight',
      'model.10.weight',
    ],
    'conv_up2.weight',
  ],
  [
    'an ESRGAN upscaler of the layout between',
    [
      'conv_first.weight',
      'RRDB_trunk.0.RDB1.conv1.weight',
      'RRDB_trunk.22.RDB3.conv5.bias',
      'trunk_conv.weight',
      'upconv1.weight',
      'HRconv.weight',
      'conv_last.weight',
    ],
    'body.22.rdb3.conv5.bias',
  ],
])('%s', (_, originals, wanted) => {
  const { components, leftOver } = openCheckpoint(
    headerOf(originals.map((name) => ({ name, type: 'float32', shape: [1] }))),
  );
  expect([...components.values()].flatMap((source) => [...source.names()])).toContain(wanted);
  expect(leftOver).toEqual([]);
});

test('names of a hostile file cannot reach into the tables', () => {
  const { components } = openCheckpoint(
    headerOf(
      [
        'input_blocks.0.0.weight',
        'constructor.weight',
        'input_blocks.1.0.toString.weight',
        '__proto__.bias',
      ].map((name) => ({ name, type: 'float32', shape: [1] })),
    ),
  );
  expect([...(components.get('unet')?.names() ?? [])]).toEqual(['conv_in.weight']);
});
