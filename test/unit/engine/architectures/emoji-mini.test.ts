import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { packs } from '#library/packs/index.ts';
import { readFloat32 } from '#weights/casts.ts';
import {
  buildEmoji,
  EMOJI_INPUTS,
  readEmoji,
  readEmojiOutputs,
  type EmojiNetwork,
} from '../../../support/emoji-weights.ts';
import { EMOJI_MINI } from '../../../support/node-engine.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

test('the files the app serves are those of the pack', () => {
  for (const { path: file, sizeBytes, sha256 } of packs['emoji-mini'].files) {
    const bytes = readFileSync(path.join(EMOJI_MINI, file));
    expect(bytes.length, file).toBe(sizeBytes);
    expect(createHash('sha256').update(bytes).digest('hex'), file).toBe(sha256);
  }
  expect(packs['emoji-mini'].files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBeLessThanOrEqual(
    25_000_000,
  );
});

/*
 * The reference are the weights before they were quantised. Measured: 0.008 for the UNet, 0.031 for the decoder, which is given
 * noise here, 0.011 for the text encoder and 0.004 for the encoder. Steps are chosen for latents of images, of which the decoder's
 * error is 0.004.
 */
const TOLERANCE: Readonly<Record<EmojiNetwork, number>> = {
  unet: 0.012,
  text_encoder: 0.015,
  vae_decoder: 0.04,
  vae_encoder: 0.008,
};

describe('what the networks compute is what the weights before quantising give', () => {
  test.each(Object.keys(EMOJI_INPUTS) as EmojiNetwork[])('%s', async (network) => {
    const weights = await readEmoji(network, 'int8');
    const graph = buildEmoji(network, weights);
    const session = await openGraph(graph, weights, {});
    const outputs = await session.run(EMOJI_INPUTS[network]);
    await session.release();
    const expected = await readEmojiOutputs();
    const names = [...expected.names()].filter((name) => name.startsWith(`${network}.`));
    expect(Object.keys(outputs).map((name) => `${network}.${name}`)).toEqual(names);
    for (const [name, { data, shape }] of Object.entries(outputs)) {
      expect(shape).toEqual(expected.info(`${network}.${name}`)?.shape);
      expect(relativeError(data, await readFloat32(expected, `${network}.${name}`)), name).toBeLessThan(
        TOLERANCE[network],
      );
    }
    const others = graph.unused.filter(
      (name) => !network.startsWith('vae') || name.startsWith(network.slice(4, 7)),
    );
    expect(others).toEqual([]);
  });
});

test('its UNet reads the pooled text and the sizes', async () => {
  const weights = await readEmoji('unet', 'int8');
  const session = await openGraph(buildEmoji('unet', weights), weights, {});
  const run = async (changes: Readonly<Record<string, Numbers>> = {}) => {
    const { out_sample: out } = await session.run({ ...EMOJI_INPUTS.unet, ...changes });
    return out?.data ?? new Float32Array();
  };
  const first = await run();
  expect(relativeError(await run(), first)).toBe(0);
  const text = { data: pseudoRandom(2 * 256, 4), shape: [2, 256] };
  expect(relativeError(await run({ text_embeds: text }), first)).toBeGreaterThan(1e-3);
  const sizes = { data: new Float32Array(12).fill(64), shape: [2, 6] };
  expect(relativeError(await run({ time_ids: sizes }), first)).toBeGreaterThan(1e-3);
  await session.release();
});
