import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { ConfigFile, ModelPack } from '#protocol/model.ts';
import { compare } from '../../../parity/images/diffusers-pipelines.ts';
import { openReferences } from '../../../parity/images/image-kind.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { clipConfig, tinyClip } from '../../../support/tiny-clip.ts';
import { tinyCheckpoint } from '../../../support/tiny-checkpoint.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { fileOf, modelPack, type FilledPack } from '../../../support/tiny-packs.ts';
import { watchRuns } from '../../../support/watch-runs.ts';
import { families } from '#protocol/families.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

const trainedAs = async (
  family: 'sd1' | 'sdxl',
  opened: Promise<FilledPack<ModelPack>>,
): Promise<FilledPack<ModelPack>> => {
  const model = await opened;
  return { ...model, pack: { ...model.pack, trainedSizes: families[family].trainedSizes } };
};

/** The reference's tiny Stable Diffusion 1. */
const tinySd1 = () => trainedAs('sd1', tinyModel());

/** Four levels, as Stable Diffusion has them: latents are halved three times. */
const tinySd1OfFourLevels = async () =>
  trainedAs('sd1', modelPack({ 'checkpoint.safetensors': await tinyCheckpoint() }));

/** The reference's tiny SDXL. */
async function tinySdxl(): Promise<FilledPack<ModelPack>> {
  const fixture = (name: string) => readFileSync(path.join(FIXTURES, 'models', name));
  const config = (name: string) => JSON.parse(fixture(`${name}/config.json`).toString()) as ConfigFile;
  const weights = (name: string) => new Blob([fixture(`${name}/diffusion_pytorch_model.safetensors`)]);
  const clip = { width: 16, layers: 3 };
  const clip2 = { ...clip, projection: 32 };
  const model = modelPack(
    {
      'unet/model.safetensors': weights('unet-sdxl'),
      'vae/model.safetensors': weights('autoencoder-kl'),
      'text_encoder/model.safetensors': await fileOf(tinyClip(clip)),
      'text_encoder_2/model.safetensors': await fileOf(tinyClip(clip2)),
    },
    {
      family: 'sdxl',
      configs: {
        'unet/config.json': config('unet-sdxl'),
        'vae/config.json': config('autoencoder-kl'),
        'text_encoder/config.json': clipConfig(clip),
        'text_encoder_2/config.json': clipConfig(clip2),
      },
    },
  );
  return trainedAs('sdxl', model);
}

/** Runs a step at each size, and says which latents the UNet was given and what came of it. */
async function runAt({ pack, files }: FilledPack<ModelPack>, sizes: readonly (readonly [number, number])[]) {
  const latents: (readonly number[])[] = [];
  const keep = (_: Session, inputs: Readonly<Record<string, TensorValue>>) => {
    if ('encoder_hidden_states' in inputs) latents.push(inputs['sample']?.dims.slice(2) ?? []);
  };
  const engine = createEngine(
    async () => watchRuns(await openNodeRuntime(), keep),
    () => (file) => Promise.resolve(files[file]),
  );
  const texts: string[] = [];
  const images: (readonly number[])[] = [];
  for (const [width, height] of sizes) {
    const job = textToImage({
      model: pack.id,
      prompt: 'hills',
      seeds: [1n],
      steps: 1,
      guidanceScale: 1,
      width,
      height,
    });
    await engine.run([pack], job, (event) => {
      if (event.type !== 'artifact') return;
      images.push([event.artifact.image.width, event.artifact.image.height]);
      texts.push(event.artifact.image.infotext);
    });
  }
  await engine.unload();
  return { latents, images, texts };
}

test.for([
  [
    'Stable Diffusion 1',
    tinySd1,
    [
      [512, 768],
      [768, 512],
    ],
  ],
  // 65 × 49 cells: none of the three halvings is even.
  ['Stable Diffusion 1 of four levels', tinySd1OfFourLevels, [[520, 392]]],
  ['Stable Diffusion XL', tinySdxl, [[1152, 896]]],
] as const)(
  '%s generates at exactly the size it is asked for',
  { timeout: 300_000 },
  async ([, open, sizes]) => {
    const { latents, images, texts } = await runAt(await open(), sizes);
    expect(latents).toEqual(sizes.map(([width, height]) => [height / 8, width / 8]));
    expect(images).toEqual(sizes);
    for (const text of texts) expect(text).not.toContain('Generated at');
  },
);

test('what it generates at sizes that are not square is what diffusers generates', async () => {
  const checked: string[] = [];
  for await (const each of compare(openReferences(FIXTURES, 'diffusers-pipelines'))) {
    expect(each.supported, each.note).toBe(true);
    expect(each.error, `${each.name} ${each.note ?? ''}`).toBeLessThanOrEqual(each.tolerance);
    checked.push(each.name);
  }
  expect(checked).toContain('images/diffusers-pipelines/img2img-61x47-0.5-ddims latents');
  expect(checked).toContain('images/diffusers-pipelines/controlnet image');
});
