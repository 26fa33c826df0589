import path from 'node:path';
import type { Model } from '#engine/models/model.ts';
import { createDevice } from '#engine/models/device.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { decode, type Made } from '#engine/stages/decode/decode.ts';
import { latentLength } from '#engine/stages/denoise/unet.ts';
import { initLatents, type StartLatents } from '#engine/stages/init/init-latents.ts';
import { finishImages, prepareInits, sourcesOf } from '#engine/stages/init/prepare-init.ts';
import type { PassSource } from '#engine/stages/init/pass-source.ts';
import type { FinishedImage } from '#engine/stages/init/prepared.ts';
import { loadPass } from '#engine/stages/load/load-pass.ts';
import { startNextPass } from '#engine/stages/resize/next-pass.ts';
import { resolve } from '#engine/stages/resolve/resolve.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import type { Planes } from '#imaging/planes.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { withPass } from '../../support/jobs.ts';
import { openNodeRuntime } from '../../support/node-engine.ts';
import { openTinyPipeline } from '../../support/tiny-pipeline.ts';
import { decode as decodeClosed, encode as encodeClosed, sampleImg2img } from './closed-form.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../fixtures');

/** What the stages made of a batch. */
export interface StagedBatch {
  /** What each pass began with. */
  starts: StartLatents['start'][];
  finished: FinishedImage[];
}

/** The engine's stages around the networks of the A1111 references: only the sampler is another. */
export interface StagedEngine {
  /** @param isInpainting whether the UNet is an inpainting model's */
  run(job: GenerateJob, isInpainting: boolean): AsyncGenerator<StagedBatch>;
}

let opened: Promise<StagedEngine> | null = null;

/** Opens it once. */
export function openStages(): Promise<StagedEngine> {
  return (opened ??= open());
}

async function open(): Promise<StagedEngine> {
  const runtime = await openNodeRuntime();
  const model = await openTinyPipeline(runtime, FIXTURES);
  return { run: (job, isInpainting) => runStages(runtime, closeForms(model, isInpainting), job) };
}

/** The model with the references' VAE in place of its own, and a UNet that claims to be of some kind. */
function closeForms(model: Model, isInpainting: boolean): Model {
  return {
    ...model,
    async load(...how) {
      const loaded = await model.load(...how);
      const channels = isInpainting ? 9 : 4;
      return {
        ...loaded,
        scalingFactor: 1,
        unet: { ...loaded.unet, inputDims: () => ['batch', channels, 'height', 'width'] },
        vaeEncoder: async () => closedForm(await loaded.vaeEncoder(), encodeClosed),
        vaeDecoder: closedForm(loaded.vaeDecoder, decodeClosed),
      };
    },
  };
}

function closedForm(session: Session, network: (planes: Planes) => Planes): Session {
  const [output = ''] = session.outputNames;
  return {
    ...session,
    outputNames: [output],
    run(inputs) {
      const [input] = Object.values(inputs);
      const [, channels = 0, height = 0, width = 0] = input?.dims ?? [];
      const made = network({ channels, height, width, data: floatsOf(input) });
      return Promise.resolve({
        [output]: { data: made.data, dims: [1, made.channels, made.height, made.width] },
      });
    },
  };
}

function floatsOf(value: TensorValue | undefined): Float32Array {
  if (!value || !('data' in value) || value.type !== 'float32') throw new Error('No floats went in.');
  return value.data;
}

async function* runStages(runtime: Runtime, model: Model, asked: GenerateJob): AsyncGenerator<StagedBatch> {
  const models = {
    open: (packs: readonly unknown[]) => Promise.resolve(packs.map(() => model)),
    load: (_: Model, ...how: Parameters<Model['load']>) => model.load(...how),
    isOnDevice: () => true,
    bytes: () => Promise.resolve(0),
    leaveDevice: () => Promise.resolve(),
    release: () => Promise.resolve(),
  };
  const job = withPass(asked, { model: model.pack.id });
  const run = createRunContext(
    createDevice(runtime, models),
    job,
    [model.pack],
    () => () => Promise.resolve(undefined),
    { cancelled: false, skipped: false },
    () => undefined,
  );
  const plan = await resolve(run, job);
  for (const batch of plan.batches) {
    const starts: StartLatents['start'][] = [];
    let made: Made | null = null;
    let finished: FinishedImage[] = [];
    for (const pass of plan.passes) {
      const inits = await prepareInits(run, { job, plan, batch, pass });
      const loaded = await loadPass(run, { job, batch, pass });
      const sources: PassSource[] | null = made
        ? await startNextPass(run, { pass, made, inits })
        : sourcesOf(inits);
      const latents = await initLatents(run, { ...loaded, sources });
      const { start } = latents;
      starts.push(start);
      const sampled = blended(start);
      const length = latentLength(pass.shape);
      const { channels, height, width } = pass.shape;
      made = await decode(run, {
        ...loaded,
        latents,
        next: plan.passes[pass.index + 1],
        denoised: {
          isComplete: true,
          model: loaded.model,
          latents: (image) => ({
            type: 'float32',
            data: sampled.slice(image * length, (image + 1) * length),
            dims: [1, channels, height, width],
          }),
          read: (value) => Promise.resolve(floatsOf(value)),
          close: () => undefined,
        },
      });
      finished = await finishImages(made, inits);
    }
    yield { starts, finished };
  }
}

/** What the references' samplers make of it, blended once more by the mask. */
function blended({ init, mask, noise }: StartLatents['start']): Float32Array {
  if (!init) return noise.map((value) => 0.5 * value);
  const sampled = sampleImg2img(init, noise);
  if (!mask) return sampled;
  return sampled.map((value, i) => (mask[i] ?? 0) * value + (1 - (mask[i] ?? 0)) * (init[i] ?? 0));
}
