import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePng } from '#codecs/png.ts';
import { buildAutoencoderKlDecoder } from '#engine/architectures/autoencoder-kl.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { LoadedModel } from '#engine/models/model.ts';
import { createPromptEncoder } from '#engine/pipelines/conditioning.ts';
import { drawTextToImage } from '#engine/pipelines/txt2img.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#engine/weights/safetensors-source.ts';
import { toAppError } from '#protocol/error.ts';
import type { ModelPack } from '#protocol/model.ts';
import { textToImage } from '../support/jobs.ts';
import { openNodeRuntime } from '../support/node-engine.ts';
import { readExternalData } from '../support/onnx-session.ts';
import type { ParityCase } from './case.ts';
import { openReference, readFloats, relativeError, type ReferenceModel } from './models.ts';
import { openTokenizer } from './tokens.ts';

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
}

const LATENTS_TOLERANCE = 1e-3;

/** Of pictures whose values go from 0 to 1. */
const IMAGE_TOLERANCE = 2 / 255;

/** SD 1.5's `scheduler_config.json` for DDIM, which the reference pipelines made their schedulers from. */
const SCHEDULER_CONFIG = {
  _class_name: 'DDIMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

/**
 * Runs the calls in `models/pipelines/cases.json` through the pipeline that paints the app's pictures, with networks
 * built from `unet-sd1`, `autoencoder-kl` and `clip-text`, and compares the final latents and the picture.
 */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  const folder = join(dir, 'models', 'pipelines');
  const parts = ['unet-sd1', 'autoencoder-kl', 'clip-text'].map((name) => join(dir, 'models', name));
  if (![join(folder, 'cases.json'), ...parts].every(existsSync)) return;
  const runtime = await openNodeRuntime();
  const model = await openTinyModel(runtime, dir);
  for (const reference of JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as PipelineCase[]) {
    yield* pipelineCases(runtime, model, folder, reference);
  }
  await model.release();
  await runtime.close();
}

async function* pipelineCases(
  runtime: Runtime,
  model: LoadedModel,
  folder: string,
  reference: PipelineCase,
): AsyncGenerator<ParityCase> {
  const latents = { name: `pipelines/${reference.name} latents`, tolerance: LATENTS_TOLERANCE };
  const image = { name: `pipelines/${reference.name} image`, tolerance: IMAGE_TOLERANCE };
  if (reference.task !== 'txt2img') {
    const note = `the engine has no ${reference.task} pipeline yet`;
    for (const line of [latents, image]) yield { ...line, error: Infinity, supported: false, note };
    return;
  }
  try {
    const path = join(folder, `${reference.name}.safetensors`);
    const expected = await openSafetensors(new Blob([readFileSync(path)]), path);
    const drawn = await draw(runtime, model, reference);
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

/** The tiny networks as the app's own models are loaded, made of graphs of ours around the reference's weights. */
async function openTinyModel(runtime: Runtime, dir: string): Promise<LoadedModel> {
  const models = join(dir, 'models');
  const unet = await openReference(join(models, 'unet-sd1'));
  const vae = await openReference(join(models, 'autoencoder-kl'));
  const text = await openReference(join(models, 'clip-text'));
  const load = async ({ weights, files }: ReferenceModel, graph: BuiltGraph): Promise<Session> =>
    runtime.createSession(graph.model, { externalData: await readExternalData(graph, weights, files) });
  const sessions = {
    unet: await load(unet, buildUnet2dCondition(unet.config, { weights: unet.weights })),
    textEncoder: await load(text, buildClipText(text.config, { weights: text.weights })),
    vaeDecoder: await load(vae, buildAutoencoderKlDecoder(vae.config, { weights: vae.weights })),
  };
  return {
    ...sessions,
    pack: describePack(unet, vae),
    tokenizer: await openTokenizer(dir),
    noiseModel: { schedulerConfig: SCHEDULER_CONFIG },
    async release() {
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}

function describePack(unet: ReferenceModel, vae: ReferenceModel): ModelPack {
  const halvings = (model: ReferenceModel) => (model.config['block_out_channels'] as number[]).length - 1;
  const downscale = 2 ** halvings(vae);
  return {
    id: 'parity',
    title: 'Tiny networks of a reference',
    description: '',
    kind: 'model',
    family: 'emoji-mini',
    weights: 'onnx',
    url: '',
    files: Object.entries(unet.files).map(([path, bytes]) => ({
      path: `unet/${path}`,
      sizeBytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })),
    licence: { name: '' },
    credits: '',
    trainedSizes: [],
    latent: {
      channels: Number(vae.config['latent_channels']),
      downscale,
      sizeMultiple: downscale * 2 ** halvings(unet),
      scalingFactor: Number(vae.config['scaling_factor']),
    },
    defaults: {
      width: 64,
      height: 64,
      steps: 20,
      guidanceScale: 7.5,
      sampler: 'ddim',
      schedule: 'automatic',
    },
  };
}

/** One picture, and the latents it was decoded from: the last ones the decoder was given, at their own scale. */
async function draw(
  runtime: Runtime,
  model: LoadedModel,
  reference: PipelineCase,
): Promise<{ latents: Float32Array; image: Float32Array }> {
  const { prompt, negative_prompt: negativePrompt, width, height } = reference;
  const watched = watchInput(model.vaeDecoder);
  const pack = { ...model.pack, trainedSizes: [[width, height]] as const };
  let file: Blob | undefined;
  await drawTextToImage(
    runtime,
    { ...model, pack, vaeDecoder: watched.session },
    createPromptEncoder(model),
    textToImage({
      model: pack.id,
      prompt,
      negativePrompt: negativePrompt ?? '',
      seeds: [BigInt(reference.seed)],
      steps: reference.num_inference_steps,
      guidanceScale: reference.guidance_scale,
      width,
      height,
      sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
    }),
    { cancelled: false, skipped: false },
    (event) => {
      if (event.type === 'picture') file = event.picture.blob;
    },
  );
  if (!file) throw new Error('The pipeline ended without a picture.');
  const { channels, data } = decodePng(new Uint8Array(await file.arrayBuffer()));
  if (channels !== 3) throw new Error(`The picture has ${channels} channels.`);
  return {
    latents: watched.last().map((value) => value * pack.latent.scalingFactor),
    image: Float32Array.from(data, (value) => value / 255),
  };
}

/** A session, and what its first input was in the last run. */
function watchInput(session: Session): { session: Session; last(): Float32Array } {
  let last: TensorValue | undefined;
  return {
    session: {
      ...session,
      run(inputs) {
        [last] = Object.values(inputs);
        return session.run(inputs);
      },
    },
    last() {
      if (!last || !('data' in last) || last.type !== 'float32') throw new Error('No floats went in.');
      return last.data;
    },
  };
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] ?? NaN))), 0);
}
