import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import { openReference, type ReferenceModel } from '../../../parity/models.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { joinSources, pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

let vae: ReferenceModel;

beforeAll(async () => {
  vae = await openReference(path.resolve(import.meta.dirname, '../../../fixtures/models/autoencoder-kl'));
});

async function decode(latents: Float32Array, options: { tiling?: boolean } = {}): Promise<Float32Array> {
  const graph = buildAutoencoderKlDecoder(vae.config, { weights: vae.weights, ...options });
  const session = await openGraph(graph, vae.weights, vae.files);
  const { sample } = await session.run({ latent_sample: { data: latents, shape: [1, 4, 8, 8] } });
  await session.release();
  return sample?.data ?? new Float32Array();
}

/** Planes of `side` × `side` moved right by some columns. */
function shifted(data: Float32Array, side: number, columns: number): Float32Array {
  return data.map((_, i) => data[i - (i % side) + (((i % side) + side - columns) % side)] ?? NaN);
}

test('a tiling decoder generates an image without a seam', async () => {
  const latents = pseudoRandom(4 * 64);
  const there = shifted(await decode(latents, { tiling: true }), 64, 24);
  const here = await decode(shifted(latents, 8, 3), { tiling: true });
  expect(relativeError(here, there)).toBeLessThan(1e-4);
  expect(
    relativeError(await decode(shifted(latents, 8, 3)), shifted(await decode(latents), 64, 24)),
  ).toBeGreaterThan(1e-2);
});

test('encoder and decoder use every tensor between them', () => {
  const { config, weights } = vae;
  const encoder = buildAutoencoderKlEncoder(config, { weights });
  const decoder = buildAutoencoderKlDecoder(config, { weights });
  const used = [...encoder.parameters, ...decoder.parameters].map(({ name }) => name);
  expect(used.toSorted()).toEqual([...weights.names()].toSorted());
});

test('a configuration without quant convolutions and attention asks for none', () => {
  const { config, weights } = vae;
  const bare = { ...config, use_quant_conv: false, mid_block_add_attention: false };
  const { unused } = buildAutoencoderKlEncoder(bare, { weights });
  expect(unused).toContain('quant_conv.weight');
  expect(unused).toContain('encoder.mid_block.attentions.0.to_q.weight');
});

test('attention in the blocks takes weights of its own', async () => {
  const name = 'encoder.down_blocks.3.attentions.0';
  const projections = ['to_q', 'to_k', 'to_v', 'to_out.0'];
  const shapes: Record<string, number[]> = {
    [`${name}.group_norm.weight`]: [32],
    [`${name}.group_norm.bias`]: [32],
  };
  for (const projection of projections) {
    shapes[`${name}.${projection}.weight`] = [32, 32];
    shapes[`${name}.${projection}.bias`] = [32];
  }
  const weights = joinSources(vae.weights, tensorsOf(randomTensors(shapes)));
  const types = ['DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D', 'AttnDownEncoderBlock2D'];
  const graph = buildAutoencoderKlEncoder({ ...vae.config, down_block_types: types }, { weights });
  expect(graph.parameters.map((parameter) => parameter.name)).toEqual(
    expect.arrayContaining(Object.keys(shapes)),
  );
  const session = await openGraph(graph, weights, vae.files);
  const { mean } = await session.run({ sample: { data: pseudoRandom(3 * 64 * 64), shape: [1, 3, 64, 64] } });
  expect(mean?.shape).toEqual([1, 4, 8, 8]);
  await session.release();
});

test('refuses what it cannot build by the name of the key', () => {
  const build = (change: object) => () =>
    buildAutoencoderKlDecoder({ ...vae.config, ...change }, { weights: vae.weights });
  expect(build({ up_block_types: ['UpBlock3D'] })).toThrow(
    expect.objectContaining({ code: 'unsupported_feature', detail: { key: 'up_block_types' } }),
  );
  expect(build({ norm_num_groups: 'many' })).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      message: 'AutoencoderKL: norm_num_groups must be a number.',
    }),
  );
});
