import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { architectures, findArchitecture, type NetworkName } from '#engine/architectures/index.ts';
import type { Component } from '#weights/checkpoint.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../../src/engine/architectures');

/** Every `build…` that a file of the folder exports. */
async function buildersInFolder(): Promise<Map<string, unknown>> {
  const builders = new Map<string, unknown>();
  for (const file of readdirSync(FOLDER)) {
    const exported = (await import(path.join(FOLDER, file))) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported))
      if (/^build[A-Z]/.test(name)) builders.set(name, value);
  }
  return builders;
}

test('the table has every network that a file of the folder builds, each once', async () => {
  const inFolder = await buildersInFolder();
  const inTable = Object.values(architectures).map(({ build }) => build.name);
  expect(inTable.toSorted()).toEqual([...inFolder.keys()].toSorted());
});

test.each<[NetworkName, Component, string, string]>([
  ['vae_decoder', 'vae', 'decoder.conv_in.weight', 'autoencoder-kl-decoder'],
  ['vae_decoder', 'vae', 'dec.net.0.weight', 'emoji-mini-vae-decoder'],
  ['vae_decoder', 'taesd', 'decoder.layers.0.weight', 'autoencoder-tiny-decoder'],
  ['text_encoder', 'text_encoder', 'tok.weight', 'emoji-mini-text-encoder'],
  ['text_encoder_2', 'text_encoder_2', 'text_model.embeddings.token_embedding.weight', 'clip-text'],
])('%s from %s with %s is %s', (network, component, tensor, name) => {
  const found = findArchitecture(network, (part, asked) => part === component && asked === tensor);
  expect(found?.component).toBe(component);
  expect(Object.entries(architectures).find(([, { build }]) => build === found?.build)?.[0]).toBe(name);
});

test('weights of another kind have no architecture', () => {
  expect(findArchitecture('unet', (_, tensor) => tensor === 'transformer_blocks.0.weight')).toBeUndefined();
});
