import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob, JobProgress, Refiner } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { compareImages } from '../../../support/images.ts';
import { textToImage } from '../../../support/jobs.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, fileOf, runToEnd, type FilledPack } from '../../../support/tiny-packs.ts';

const BASE = { prompt: 'waves', negativePrompt: 'fog', seeds: [3n, 4n], batchSize: 2, width: 64, height: 64 };
const EULER = { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} } as const;

let engine: EngineWorker;
let models: FilledPack<ModelPack>[];
let installed: readonly ModelPack[];

beforeAll(async () => {
  const first = await tinyModel();
  const unet = readFileSync(
    new URL('../../../fixtures/models/unet-sd1/diffusion_pytorch_model.safetensors', import.meta.url),
  );
  const otherUnet = joinSources(
    tensorsOf(randomTensors({ 'conv_out.weight': [4, 16, 3, 3] })),
    await openSafetensors(new Blob([unet]), 'unet'),
  );
  const files = { ...first.files, 'unet/model.safetensors': await fileOf(otherUnet) };
  const foreign = { ...first.pack, id: 'foreign', latent: { ...first.pack.latent, channels: 16 } };
  models = [first, { pack: { ...first.pack, id: 'other' }, files }, { pack: foreign, files }];
  installed = models.map(({ pack }) => pack);
  engine = engineFor(models);
});
afterAll(() => engine.unload());

const job = (model: string, refiner?: Refiner): GenerateJob =>
  textToImage({ ...BASE, steps: 5, sampler: EULER, model, ...(refiner && { refiner }) });

const other = (switchAt: number, counts: Refiner['counts'] = 'step'): Refiner => ({
  model: 'other',
  switchAt,
  counts,
});

async function generate(asked: GenerateJob): Promise<readonly Uint8Array[]> {
  return (await runToEnd(engine, installed, asked)).pngs;
}

const difference = (a: readonly Uint8Array[], b: readonly Uint8Array[]) =>
  Math.max(...a.map((png, i) => compareImages(png, b[i] ?? new Uint8Array()).mean));

describe('a refiner', () => {
  test('that takes over at once generates as it does alone, and one that never does changes nothing', async () => {
    const [base, alone] = [await generate(job('tiny')), await generate(job('other'))];
    expect(difference(base, alone)).toBeGreaterThan(1);
    expect(difference(await generate(job('tiny', other(0))), alone)).toBe(0);
    expect(difference(await generate(job('tiny', other(1))), base)).toBe(0);
    for (const counts of ['step', 'timestep'] as const) {
      const mixed = await generate(job('tiny', other(0.5, counts)));
      expect(difference(mixed, base)).toBeGreaterThan(0.5);
      expect(difference(mixed, alone)).toBeGreaterThan(0.5);
    }
  });

  test('gives the last step to the model that is named for it', async () => {
    // The same UNet as the base: handing over itself changes nothing.
    const handed = await generate(job('tiny', { model: 'tiny', switchAt: 0.5, counts: 'step' }));
    expect(difference(handed, await generate(job('tiny')))).toBe(0);
    const late = await generate(job('tiny', other(0.8)));
    const early = await generate(job('tiny', other(0.2)));
    expect(difference(late, early)).toBeGreaterThan(0.5);
  });

  test('is loaded in the course of the run, and the progress says so', async () => {
    const phases: string[] = [];
    const told: JobProgress[] = [];
    await engine.run(installed, job('tiny', other(0.6)), (event) => {
      if (event.type !== 'progress') return;
      told.push(event.progress);
      const line = `${event.progress.phase} ${String(event.progress.step)}`;
      if (line !== phases.at(-1) && !line.startsWith('encoding')) phases.push(line);
    });
    expect(phases.slice(phases.indexOf('sampling 0'), phases.indexOf('sampling 5') + 1)).toEqual([
      'sampling 0',
      'sampling 1',
      'sampling 2',
      'sampling 3',
      'loading 3',
      'sampling 3',
      'sampling 4',
      'sampling 5',
    ]);
    expect(told.slice(1).every(({ fraction }, i) => fraction >= (told[i]?.fraction ?? 0))).toBe(true);
  });

  test('is refused before anything runs where it is missing or has other latents', async () => {
    const missing = job('tiny', { model: 'elsewhere', switchAt: 0.5, counts: 'step' });
    await expect(generate(missing)).rejects.toMatchObject({ code: 'model_not_found' });
    const foreign = job('tiny', { model: 'foreign', switchAt: 0.5, counts: 'step' });
    await expect(generate(foreign)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
