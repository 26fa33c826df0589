import { expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import { packs } from '#library/packs/index.ts';
import type { ModelPack } from '#protocol/model.ts';
import {
  buildEmoji,
  buildEmojiPack,
  readExported,
  type EmojiNetwork,
} from '../../../support/emoji-weights.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { openGraph, openModel, type Numbers } from '../../../support/onnx-session.ts';
import { compareImages } from '../../../support/images.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

/* The exported networks of the built-in model and the graphs this engine writes must compute the same. */

const tokens = new Int32Array(2 * 77).fill(49407);
tokens.set([49406, 736, 8088], 0);
tokens.set([49406, 1579, 2368, 537, 320, 2866], 77);

const INPUTS: Readonly<Record<EmojiNetwork, Record<string, Numbers>>> = {
  unet: {
    sample: { data: pseudoRandom(2 * 16 * 8 * 12), shape: [2, 16, 8, 12] },
    timestep: { data: Float32Array.of(321), shape: [1] },
    encoder_hidden_states: { data: pseudoRandom(2 * 77 * 256, 2), shape: [2, 77, 256] },
  },
  text_encoder: { input_ids: { data: tokens, shape: [2, 77] } },
  vae_decoder: { latent_sample: { data: pseudoRandom(16 * 6 * 4), shape: [1, 16, 6, 4] } },
  vae_encoder: { sample: { data: pseudoRandom(3 * 96 * 64), shape: [1, 3, 96, 64] } },
};

test.each(Object.keys(INPUTS) as EmojiNetwork[])('the %s', async (network) => {
  const { bytes, weights } = readExported(network);
  const built = buildEmoji(network, weights);
  const [theirs, ours] = [await openModel(bytes), await openGraph(built, weights, {})];
  const [expected, actual] = [await theirs.run(INPUTS[network]), await ours.run(INPUTS[network])];
  await theirs.release();
  await ours.release();
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, { data, shape }] of Object.entries(expected)) {
    expect(actual[name]?.shape).toEqual(shape);
    expect(relativeError(actual[name]?.data ?? new Float32Array(), data), name).toBeLessThan(1e-4);
  }
  expect(built.unused).toEqual([]);
});

async function generate(pack: ModelPack, readFile: ReadFile): Promise<Uint8Array> {
  const engine = createEngine(openNodeRuntime, () => readFile);
  await engine.start('wasm');
  let image: Blob | undefined;
  await engine.run(pack, [], textToImage({ prompt: 'red apple, 3d', steps: 8, seeds: [5n] }), (event) => {
    if (event.type === 'image') image = event.image.blob;
  });
  await engine.unload();
  if (!image) throw new Error('There is no image.');
  return new Uint8Array(await image.arrayBuffer());
}

test('built graphs generate the image that the exported ones generate', async () => {
  const exported = await generate(packs['emoji-mini'], readFrom(EMOJI_MINI));
  const { pack, readFile } = await buildEmojiPack();
  const built = await generate(pack, readFile);
  expect(compareImages(built, exported).largest).toBeLessThanOrEqual(2);
});
