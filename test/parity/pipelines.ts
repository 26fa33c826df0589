import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePng } from '#codecs/png.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import type { Model } from '#engine/models/model.ts';
import { drawImages } from '#engine/pipelines/draw.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#engine/weights/safetensors-source.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { textToImage } from '../support/jobs.ts';
import { openNodeRuntime } from '../support/node-engine.ts';
import { relativeError } from '../support/relative-error.ts';
import { hasTinyPipeline, openTinyPipeline } from '../support/tiny-pipeline.ts';
import type { ParityCase } from './case.ts';
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

const LATENTS_TOLERANCE = 1e-3;

/** Of images whose values go from 0 to 1. */
const IMAGE_TOLERANCE = 2 / 255;

/**
 * Runs the calls in `models/pipelines/cases.json` through the pipeline that generates the app's images, with the reference's
 * tiny networks loaded as an imported model is, and compares the final latents and the image.
 */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  const folder = join(dir, 'models', 'pipelines');
  if (!existsSync(join(folder, 'cases.json')) || !hasTinyPipeline(dir)) return;
  const runtime = await openNodeRuntime();
  const model = await openTinyPipeline(runtime, dir);
  for (const reference of JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as PipelineCase[]) {
    yield* pipelineCases(runtime, model, folder, reference);
  }
  await model.release();
  await runtime.close();
}

async function* pipelineCases(
  runtime: Runtime,
  model: Model,
  folder: string,
  reference: PipelineCase,
): AsyncGenerator<ParityCase> {
  const latents = { name: `pipelines/${reference.name} latents`, tolerance: LATENTS_TOLERANCE };
  const image = { name: `pipelines/${reference.name} image`, tolerance: IMAGE_TOLERANCE };
  try {
    const path = join(folder, `${reference.name}.safetensors`);
    const expected = await openSafetensors(new Blob([readFileSync(path)]), path);
    const drawn = await draw(runtime, model, jobOf(reference, folder));
    const difference = relativeError(drawn.latents, await readFloats(expected, 'latents'));
    yield { ...latents, error: difference, supported: true };
    const off = largestDifference(drawn.image, await readFloats(expected, 'image'));
    yield { ...image, error: off, supported: true, note: `${(255 * off).toFixed(2)} of 255` };
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const supported = code !== 'unsupported_feature';
    for (const line of [latents, image]) yield { ...line, error: Infinity, supported, note: message };
  }
}

/** The call as a job of the app. */
function jobOf(reference: PipelineCase, folder: string): GenerateJob {
  const job = textToImage({
    model: 'parity',
    prompt: reference.prompt,
    negativePrompt: reference.negative_prompt ?? '',
    seeds: [BigInt(reference.seed)],
    steps: reference.num_inference_steps,
    guidanceScale: reference.guidance_scale,
    width: reference.width,
    height: reference.height,
    sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
  });
  if (reference.task === 'txt2img') return job;
  const read = (name: string) => new Blob([readFileSync(join(folder, name))]);
  const init = { image: read('init.png'), strength: reference.strength ?? NaN };
  if (reference.task === 'img2img') return { ...job, task: 'img2img', init };
  if (reference.task === 'inpaint') return { ...job, task: 'inpaint', init, mask: read('mask.png') };
  throw new AppError('unsupported_feature', `the engine has no ${reference.task} pipeline yet`);
}

/** One image, and the latents it was decoded from: the last ones the decoder was given, at their own scale. */
async function draw(
  runtime: Runtime,
  model: Model,
  job: GenerateJob,
): Promise<{ latents: Float32Array; image: Float32Array }> {
  const pack = { ...model.pack, trainedSizes: [[job.width, job.height]] as const };
  let decoderInput: TensorValue | undefined;
  let file: Blob | undefined;
  const watched: Model = {
    ...model,
    pack,
    async load(changes, addOns) {
      const loaded = await model.load(changes, addOns);
      const vaeDecoder = watchInput(loaded.vaeDecoder, (input) => (decoderInput = input));
      return { ...loaded, pack, vaeDecoder };
    },
  };
  await drawImages(
    runtime,
    watched,
    openAddOns([], () => () => Promise.resolve(undefined)),
    job,
    { cancelled: false, skipped: false },
    (event) => {
      if (event.type === 'image') file = event.image.blob;
    },
  );
  if (!file) throw new Error('The pipeline ended without an image.');
  const { channels, data } = decodePng(new Uint8Array(await file.arrayBuffer()));
  if (channels !== 3) throw new Error(`The image has ${channels} channels.`);
  return {
    latents: floatsOf(decoderInput).map((value) => value * pack.latent.scalingFactor),
    image: Float32Array.from(data, (value) => value / 255),
  };
}

/** A session that tells what its first input is in each run. */
function watchInput(session: Session, tell: (input: TensorValue | undefined) => void): Session {
  return {
    ...session,
    run(inputs) {
      tell(Object.values(inputs)[0]);
      return session.run(inputs);
    },
  };
}

function floatsOf(value: TensorValue | undefined): Float32Array {
  if (!value || !('data' in value) || value.type !== 'float32') throw new Error('No floats went in.');
  return value.data;
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] ?? NaN))), 0);
}
