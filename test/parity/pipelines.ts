import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { imageInit, maskedInit } from '../support/inits.ts';
import { textToImage } from '../support/jobs.ts';
import { openNodeRuntime } from '../support/node-engine.ts';
import { hasTinyPipeline, openTinyPipeline } from '../support/tiny-pipeline.ts';
import type { ParityCase } from './case.ts';
import { compareGenerated, generateOne, type Made } from './generated.ts';
import { readFloats } from './models.ts';

/** The arguments of one call of a diffusers pipeline. */
interface PipelineCase {
  name: string;
  task: string;
  scheduler: string;
  prompt: string;
  negative_prompt?: string | null;
  num_inference_steps: number;
  guidance_scale: number;
  seed: number;
  width: number;
  height: number;
  /** Of img2img and inpaint. */
  strength?: number;
}

/**
 * Runs the calls in `models/pipelines/cases.json` through the stages that generate the app's images, with the reference's
 * tiny networks loaded as an imported model is, and compares the final latents and the image.
 */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  const folder = join(dir, 'models', 'pipelines');
  if (!existsSync(join(folder, 'cases.json')) || !hasTinyPipeline(dir)) return;
  const runtime = await openNodeRuntime();
  const model = await openTinyPipeline(runtime, dir);
  for (const reference of JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as PipelineCase[]) {
    yield* compareGenerated(
      `pipelines/${reference.name}`,
      () => generateOne(runtime, model, jobOf(reference, folder)),
      () => readMade(join(folder, `${reference.name}.safetensors`)),
    );
  }
  await model.release();
  await runtime.close();
}

async function readMade(path: string): Promise<Made> {
  const file = await openSafetensors(new Blob([readFileSync(path)]), path);
  return { latents: await readFloats(file, 'latents'), image: await readFloats(file, 'image') };
}

/** The call as a job of the app. */
function jobOf(reference: PipelineCase, folder: string): GenerateJob {
  const job = textToImage({
    prompt: reference.prompt,
    negativePrompt: reference.negative_prompt ?? '',
    seeds: [BigInt(reference.seed)],
    steps: reference.num_inference_steps,
    guidanceScale: reference.guidance_scale,
    width: reference.width,
    height: reference.height,
    sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
    ...(reference.strength !== undefined && { strength: reference.strength }),
  });
  const read = (name: string) => new Blob([readFileSync(join(folder, name))]);
  switch (reference.task) {
    case 'txt2img':
      return job;
    case 'img2img':
      return { ...job, init: imageInit([read('init.png')], { rules: 'diffusers' }) };
    case 'inpaint':
      return { ...job, init: maskedInit([read('init.png')], read('mask.png'), { rules: 'diffusers' }) };
    default:
      throw new AppError('unsupported_feature', `there is no ${reference.task} pipeline yet`);
  }
}
