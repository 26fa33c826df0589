import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { embedGuidanceScale } from '#engine/stages/prompts/conditioning.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { AnyPack, ConfigFile } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { compareImages } from '../../../support/images.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { clipConfig, tinyClip } from '../../../support/tiny-clip.ts';
import { engineFor, fileOf, modelPack, generate, type FilledPack } from '../../../support/tiny-packs.ts';

const packs: FilledPack<AnyPack>[] = [];
const engine = engineFor(packs);
afterAll(() => engine.unload());

const fixture = (path: string) => readFileSync(`test/fixtures/models/${path}`);
const config = (name: string) => JSON.parse(fixture(`${name}/config.json`).toString()) as ConfigFile;

test('the guidance scale becomes sines and cosines of falling frequencies', () => {
  expect([...embedGuidanceScale(0, 6)]).toEqual([0, 0, 0, 1, 1, 1]);
  const embedding = embedGuidanceScale(0.002, 6);
  // 1000·w = 2, at frequencies 1, 1/100 and 1/10000.
  [Math.sin(2), Math.sin(0.02), Math.sin(0.0002), Math.cos(2), Math.cos(0.02), Math.cos(0.0002)].forEach(
    (expected, i) => expect(embedding[i]).toBeCloseTo(expected, 6),
  );
});

test('a UNet that is told the guidance scale runs without a negative prompt', async () => {
  const clip = { width: 32, layers: 2 };
  const weights = new Blob([fixture('unet-sd1/diffusion_pytorch_model.safetensors')]);
  const told = tensorsOf(randomTensors({ 'time_embedding.cond_proj.weight': [16, 64] }));
  const unet = joinSources(await openSafetensors(weights, 'unet'), told);
  const model = await modelPack(
    {
      'unet/model.safetensors': await fileOf(unet),
      'vae/model.safetensors': new Blob([fixture('autoencoder-kl/diffusion_pytorch_model.safetensors')]),
      'text_encoder/model.safetensors': await fileOf(tinyClip(clip)),
    },
    {
      id: 'lcm',
      configs: {
        'unet/config.json': { ...config('unet-sd1'), time_cond_proj_dim: 64 },
        'vae/config.json': config('autoencoder-kl'),
        'text_encoder/config.json': clipConfig(clip),
      },
    },
  );
  packs.push(model);
  const png = async (guidanceScale: number, negativePrompt: string) => {
    const job = textToImage({
      prompt: 'a cat',
      negativePrompt,
      guidanceScale,
      seeds: [7n],
      width: 64,
      height: 64,
    });
    return (await generate(engine, model, job)).pngs[0] ?? new Uint8Array();
  };
  const image = await png(8, '');
  expect(compareImages(await png(8, 'a dog'), image).largest).toBe(0);
  expect(compareImages(await png(2, ''), image).mean).toBeGreaterThan(0);
});
