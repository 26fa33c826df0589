import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildUnet2dCondition,
  type Unet2dConditionOptions,
} from '#engine/architectures/unet-2d-condition.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { ipAdapterModules } from '#engine/architectures/ip-adapter.ts';
import { openReference, type ReferenceModel } from '../../../parity/models.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { joinSources, pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

const size = { height: 16, width: 16 };
let unet: ReferenceModel;

beforeAll(async () => {
  unet = await openReference(path.resolve(import.meta.dirname, '../../../fixtures/models/unet-sd1'));
});

/** Inputs of the tiny UNet for latents of this size. */
function inputs({ height, width } = size): Record<string, Numbers> {
  return {
    sample: { data: pseudoRandom(4 * height * width), shape: [1, 4, height, width] },
    timestep: { data: Float32Array.of(321), shape: [1] },
    encoder_hidden_states: { data: pseudoRandom(77 * 32, 2), shape: [1, 77, 32] },
  };
}

async function run(
  feeds: Record<string, Numbers>,
  options: Omit<Unet2dConditionOptions, 'weights'> = {},
  weights: TensorSource = unet.weights,
): Promise<Float32Array> {
  const session = await openGraph(
    buildUnet2dCondition(unet.config, { ...options, weights }),
    weights,
    unet.files,
  );
  const { out_sample: output } = await session.run(feeds);
  await session.release();
  return output?.data ?? new Float32Array();
}

/** An image of `channels` planes moved around by so many rows and columns. */
function shifted(
  data: Float32Array | Int32Array,
  { height, width }: typeof size,
  rows: number,
  columns: number,
) {
  return Float32Array.from(data, (_, index) => {
    const plane = Math.floor(index / (height * width)) * height * width;
    const y = Math.floor((index - plane) / width);
    const x = index % width;
    return data[plane + ((y + height - rows) % height) * width + ((x + width - columns) % width)] ?? NaN;
  });
}

test('a fixed size changes nothing but the shapes', async () => {
  expect(
    relativeError(await run(inputs(), { size: { batch: 1, ...size } }), await run(inputs())),
  ).toBeLessThan(1e-5);
});

test('latents need not have even sides', async () => {
  const output = await run(inputs({ height: 15, width: 13 }));
  expect(output).toHaveLength(4 * 15 * 13);
  expect(
    relativeError(output, await run(inputs({ height: 15, width: 13 }), { size: { height: 15, width: 13 } })),
  ).toBeLessThan(1e-5);
});

test('float16 stays near float32', async () => {
  const error = relativeError(await run(inputs(), { precision: 'float16' }), await run(inputs()));
  expect(error).toBeGreaterThan(0);
  expect(error).toBeLessThan(0.02);
});

test('a tiling UNet does not care where the image begins', async () => {
  const feeds = inputs();
  const sample = feeds['sample']?.data ?? new Float32Array();
  const moved = { ...feeds, sample: { data: shifted(sample, size, 6, 10), shape: [1, 4, 16, 16] } };
  const tiled = shifted(await run(feeds, { tiling: true }), size, 6, 10);
  expect(relativeError(await run(moved, { tiling: true }), tiled)).toBeLessThan(1e-4);
  expect(relativeError(await run(moved), shifted(await run(feeds), size, 6, 10))).toBeGreaterThan(1e-2);
});

describe('FreeU', () => {
  const neutral = { b1: 1, b2: 1, s1: 1, s2: 1 };

  test.each([1, 2] as const)('version %d with every strength 1 changes nothing', async (version) => {
    const output = await run(inputs(), { size, freeU: { ...neutral, version } });
    expect(relativeError(output, await run(inputs()))).toBeLessThan(1e-5);
  });

  test.each([{ b1: 1.3 }, { b2: 1.4 }, { s1: 0.6 }, { s2: 0.4 }])(
    '%o changes the result',
    async (strengths) => {
      const output = await run(inputs(), { size, freeU: { ...neutral, ...strengths, version: 1 } });
      expect(relativeError(output, await run(inputs()))).toBeGreaterThan(1e-3);
    },
  );

  test('needs a known size', () => {
    const build = () =>
      buildUnet2dCondition(unet.config, { weights: unet.weights, freeU: { ...neutral, version: 1 } });
    expect(build).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});

describe('token merging', () => {
  test('of so few tokens that none are merged changes nothing', async () => {
    const output = await run(inputs(), { size, tokenMerging: { ratio: 0.001 } });
    expect(relativeError(output, await run(inputs()))).toBeLessThan(1e-5);
  });

  test('comes near the whole computation, the nearer the less is merged', async () => {
    const whole = await run(inputs());
    const [little, much] = [
      relativeError(await run(inputs(), { size, tokenMerging: { ratio: 0.1 } }), whole),
      relativeError(await run(inputs(), { size, tokenMerging: { ratio: 0.75 } }), whole),
    ];
    expect(little).toBeGreaterThan(0);
    expect(much).toBeGreaterThan(little);
    expect(much).toBeLessThan(0.5);
  });

  test('is refused beyond three quarters', () => {
    const build = () =>
      buildUnet2dCondition(unet.config, { weights: unet.weights, size, tokenMerging: { ratio: 0.8 } });
    expect(build).toThrow('from 0 to 0.75');
  });
});

test('ControlNet residuals of zero change nothing, others do', async () => {
  const options = { controlNet: true };
  const { inputs: declared } = buildUnet2dCondition(unet.config, {
    weights: unet.weights,
    size: { batch: 1, ...size },
    ...options,
  });
  const residuals = declared.filter(({ name }) => name.includes('additional_residual'));
  expect(residuals.map(({ name }) => name)).toEqual([
    'down_block_additional_residual_0',
    'down_block_additional_residual_1',
    'down_block_additional_residual_2',
    'down_block_additional_residual_3',
    'mid_block_additional_residual',
  ]);
  const filled = (value: number): Record<string, Numbers> =>
    Object.fromEntries(
      residuals.map(({ name, shape }) => {
        const sides = shape.map(Number);
        return [name, { data: new Float32Array(sides.reduce((a, b) => a * b)).fill(value), shape: sides }];
      }),
    );
  const plain = await run(inputs());
  expect(relativeError(await run({ ...inputs(), ...filled(0) }, options), plain)).toBeLessThan(1e-6);
  expect(relativeError(await run({ ...inputs(), ...filled(0.5) }, options), plain)).toBeGreaterThan(1e-2);
});

test('T2I-Adapter features of zero change nothing, others do', async () => {
  const options = { t2iAdapter: true };
  const features = (value: number): Record<string, Numbers> => ({
    down_intrablock_additional_residual_0: {
      data: new Float32Array(16 * 256).fill(value),
      shape: [1, 16, 16, 16],
    },
    down_intrablock_additional_residual_1: {
      data: new Float32Array(32 * 64).fill(value),
      shape: [1, 32, 8, 8],
    },
  });
  const plain = await run(inputs());
  expect(relativeError(await run({ ...inputs(), ...features(0) }, options), plain)).toBeLessThan(1e-6);
  expect(relativeError(await run({ ...inputs(), ...features(0.5) }, options), plain)).toBeGreaterThan(1e-2);
});

test('an IP-Adapter of scale 0 changes nothing, of scale 1 it does', async () => {
  const shapes: Record<string, number[]> = {};
  for (const module of ipAdapterModules(unet.config)) {
    const width = unet.weights.info(`${module}.to_q.weight`)?.shape[0] ?? 0;
    shapes[`${module}.processor.to_k_ip.0.weight`] = [width, 32];
    shapes[`${module}.processor.to_v_ip.0.weight`] = [width, 32];
  }
  const weights = joinSources(unet.weights, tensorsOf(randomTensors(shapes)));
  const feeds = (scale: number) => ({
    ...inputs(),
    ip_hidden_states_0: { data: pseudoRandom(4 * 32, 3), shape: [1, 4, 32] },
    ip_scale_0: { data: Float32Array.of(scale), shape: [1] },
  });
  const plain = await run(inputs());
  const options = { ipAdapters: [{ images: 1, tokens: 4 }] };
  expect(relativeError(await run(feeds(0), options, weights), plain)).toBeLessThan(1e-6);
  expect(relativeError(await run(feeds(1), options, weights), plain)).toBeGreaterThan(1e-3);
  expect(buildUnet2dCondition(unet.config, { weights, ...options }).unused).toEqual([]);

  // Two images at half the weight are one at the whole, if they are the same.
  const tokens = pseudoRandom(4 * 32, 3);
  const twice = {
    ...inputs(),
    ip_hidden_states_0: { data: Float32Array.of(...tokens, ...tokens), shape: [1, 8, 32] },
    ip_scale_0: { data: Float32Array.of(0.5, 0.5), shape: [2] },
  };
  const two = await run(twice, { ipAdapters: [{ images: 2, tokens: 4 }] }, weights);
  expect(relativeError(two, await run(feeds(1), options, weights))).toBeLessThan(1e-5);
});

test('an IP-Adapter counts by block and place as it is told', async () => {
  const modules = ipAdapterModules(unet.config);
  const widthOf = (module: string) => unet.weights.info(`${module}.to_q.weight`)?.shape[0] ?? 0;
  const shapes = Object.fromEntries(
    modules.flatMap((module) =>
      ['to_k_ip', 'to_v_ip'].map((part) => [`${module}.processor.${part}.0.weight`, [widthOf(module), 32]]),
    ),
  );
  const adapter = tensorsOf(randomTensors(shapes));
  const weights = joinSources(unet.weights, adapter);
  const tokens = { data: pseudoRandom(4 * 32, 3), shape: [1, 4, 32] };
  const [whole, inParts] = [
    { images: 1, tokens: 4 },
    { images: 1, tokens: 4, parts: true },
  ];
  const blocks = new Set(modules.map((module) => module.replace(/\.transformer_blocks.*/, ''))).size;
  const graph = buildUnet2dCondition(unet.config, { weights, ipAdapters: [inParts] });
  const regionNames = graph.inputs.map(({ name }) => name).filter((name) => name.startsWith('ip_region_0_'));
  expect(regionNames.length).toBeGreaterThan(0);
  const sideOf = (name: string) => size.height / 2 ** Number(name.split('_').at(-1));
  const partly = (scales: readonly number[], region: number) =>
    run(
      {
        ...inputs(),
        ip_hidden_states_0: tokens,
        ip_scale_0: { data: Float32Array.from(scales), shape: [blocks, 1] },
        ...Object.fromEntries(
          regionNames.map((name) => {
            const side = sideOf(name);
            return [name, { data: new Float32Array(side * side).fill(region), shape: [1, 1, side, side] }];
          }),
        ),
      },
      { ipAdapters: [inParts] },
      weights,
    );
  const wholly = (scale: number, own = weights) => {
    const feeds = { ip_hidden_states_0: tokens, ip_scale_0: { data: Float32Array.of(scale), shape: [1] } };
    return run({ ...inputs(), ...feeds }, { ipAdapters: [whole] }, own);
  };
  const all = (scale: number) => Array.from({ length: blocks }, () => scale);
  expect(relativeError(await partly(all(0.7), 1), await wholly(0.7))).toBeLessThan(1e-5);
  expect(relativeError(await partly(all(1), 0.3), await wholly(0.3))).toBeLessThan(1e-5);
  // The mid block runs after the down blocks. Values of zero show nothing.
  const downs = new Set(
    modules
      .filter((name) => name.startsWith('down'))
      .map((name) => name.replace(/\.transformer_blocks.*/, '')),
  );
  const silent = modules.filter((module) => !module.startsWith('mid_block'));
  const zeros = tensorsOf(
    Object.fromEntries(
      silent.map((module) => [
        `${module}.processor.to_v_ip.0.weight`,
        { shape: [widthOf(module), 32], data: new Float32Array(widthOf(module) * 32) },
      ]),
    ),
  );
  const onlyMid = all(0).map((_, block) => (block === downs.size ? 1 : 0));
  expect(relativeError(await partly(onlyMid, 1), await wholly(1, joinSources(zeros, weights)))).toBeLessThan(
    1e-5,
  );
});

test.each([
  ['down_block_types', ['CrossAttnDownBlock2D', 'KDownBlock2D']],
  ['class_embeddings_concat', true],
  ['encoder_hid_dim_type', 'text_image_proj'],
  ['addition_embed_type', 'image'],
  ['act_fn', 'unheard_of'],
])('refuses %s %j by name', (key, value) => {
  const build = () => buildUnet2dCondition({ ...unet.config, [key]: value }, { weights: unet.weights });
  expect(build).toThrow(expect.objectContaining({ code: 'unsupported_feature', detail: { key } }));
});

test('what an inpaint patch adds to the first layer counts as its bias would', async () => {
  const added = Float32Array.from({ length: 16 }, (_, channel) => Math.sin(channel) / 2);
  const data = Float32Array.from({ length: 16 * 16 * 16 }, (_, i) => added[Math.floor(i / 256)] ?? NaN);
  const feature = { data, shape: [1, 16, 16, 16] };
  const told = await run({ ...inputs(), inpaint_feature: feature }, { inpaintFeature: true });
  const bias = 'conv_in.bias';
  const own = new Float32Array((await unet.weights.read(bias)).buffer);
  const moved = tensorsOf({
    [bias]: { shape: [16], data: own.map((value, i) => value + (added[i] ?? NaN)) },
  });
  const biased = await run(inputs(), {}, joinSources(moved, unet.weights));
  expect(relativeError(told, biased)).toBeLessThan(1e-5);
  expect(relativeError(told, await run(inputs()))).toBeGreaterThan(0.01);
});
