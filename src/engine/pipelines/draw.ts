import type { AddOns } from '#engine/models/add-ons.ts';
import type { Model } from '#engine/models/model.ts';
import type { UnetOptions } from '#engine/models/networks.ts';
import { createBrownianBatch } from '#engine/random/brownian.ts';
import { createNoiseStream, noiseGenerators } from '#engine/random/latent-noise.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { AppError } from '#protocol/error.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { GraphSpec, GenerateJob, ImageSpec } from '#protocol/job.ts';
import type { AddOnPack, ModelId } from '#protocol/model.ts';
import { prepareStart, samplingStart } from './batch-start.ts';
import { chooseLoras, type LoraChoice } from './choose-loras.ts';
import { encodePrompts } from './conditioning.ts';
import { prepareControls } from './control.ts';
import { decodeLatents } from './decode.ts';
import { describeImage } from './describe.ts';
import { chooseDrawSize } from './draw-size.ts';
import { encodeImage, toPng } from './encode-image.ts';
import { openSamplingRun, type SamplingRun } from './sampling-run.ts';
import { createPreviewClock } from './previews.ts';
import { createProgress } from './progress.ts';
import { readPrompts, type ReadPrompts } from './read-prompts.ts';
import { resizeToCover, stretch, type Pixels } from './resize.ts';
import { latentLength, type LatentShape } from './unet.ts';
import { yieldToEvents } from './yield-to-events.ts';

/** What stops a run from outside; asked between steps. */
export interface RunControl {
  cancelled: boolean;
  /** Ends the current batch only. Taken back when the next begins. */
  skipped: boolean;
}

interface Batch {
  images: readonly ImageSpec[];
  /** Position of its first image in the job. */
  from: number;
  /** Of its images, in order. */
  prompts: readonly ReadPrompts[];
  /** The same for all of them. */
  loras: LoraChoice;
}

/**
 * Draws the images of a job: prompt, latents, denoising loop, VAE, file. Finished images are handed over as
 * they come.
 * @throws AppError `invalid_request`, `unsupported_feature` for what the sampler or model cannot do,
 *   `not_a_number` when the latents break, and what the runtime throws
 */
export async function drawImages(
  runtime: Runtime,
  source: Model,
  addOns: AddOns,
  job: GenerateJob,
  control: RunControl,
  emit: (event: EngineEvent) => void,
): Promise<RunOutcome> {
  const { latent } = source.pack;
  const notes = new Set<string>();
  const note = (text: string) => void notes.add(text);
  const vae = job.vae === undefined ? undefined : findAddOn('vae', job.vae, addOns);
  const loras = await chooseLoras(source, addOns, job, note);
  const drawn = chooseDrawSize(source.pack, job);
  const shape: LatentShape = {
    channels: latent.channels,
    height: drawn.height / latent.downscale,
    width: drawn.width / latent.downscale,
  };
  const changes = {
    vae,
    controlNets: (job.controls ?? []).map(({ id }) => findAddOn('controlnet', id, addOns)),
    unet: unetOptions(job.graphs ?? {}, shape),
  };
  let model = await source.load({ ...changes, loras: loras[0]?.loras ?? [] }, addOns);
  const start = samplingStart(job, model);
  const plan = planSampling(job.sampler, source.noiseModel, job.steps, start);
  const prompts = await readPrompts(source, addOns, job, plan, note);
  const progress = createProgress(job.images.length, (state) => emit({ type: 'progress', progress: state }));
  const previews = createPreviewClock();
  const stopped = () => control.cancelled || control.skipped;

  progress.encoding();
  const begin = await prepareStart(runtime, model, job, start, drawn, shape);
  const controls = await prepareControls(model, job.controls ?? [], shape);
  const decode = (run: SamplingRun, latents: TensorValue) => decodeLatents(runtime, model, latents, run.read);

  function openRun(batch: Batch, encoded: readonly EncodedPrompt[]): SamplingRun {
    // Another LoRA may have had the ControlNets make room for it and come again.
    const present = controls.flatMap((control, i) => {
      const controlNet = model.controlNets[i];
      return controlNet ? { ...control, net: controlNet.session } : [];
    });
    const noise = createNoiseStream(
      { ...job.noise, etaNoiseSeedDelta: plan.usesEnsd ? job.noise.etaNoiseSeedDelta : 0 },
      batch.images,
      [shape.channels, shape.height, shape.width],
      latent.downscale,
    );
    const run = openSamplingRun(model.takesBuffers ? runtime.device : null, {
      unet: model.unet,
      shape,
      controls: present,
      evaluations: plan.evaluations,
      prompts: encoded,
      guidanceScale: job.guidanceScale,
      start: begin(noise, batch.images.length),
      nextNoise: () => noise.next(),
      ...(plan.brownianRange && {
        brownian: createBrownianBatch(
          batch.images.map(({ seed }) => seed),
          {
            range: plan.brownianRange,
            size: latentLength(shape),
            generator: noiseGenerators[job.noise.brownianSource ?? job.noise.source],
          },
        ),
      }),
      async show(step) {
        progress.step(step, batch.images.length);
        await yieldToEvents();
        if (stopped()) return;
        await previews.offer(async () => {
          const estimate = run.estimate(0, model.scalingFactor);
          if (estimate) emit({ type: 'preview', blob: toPng(await decode(run, estimate)) });
        });
      },
    });
    return run;
  }

  async function finish(batch: Batch, offset: number, decoded: Pixels): Promise<void> {
    const index = batch.from + offset;
    const spec = batch.images[offset];
    if (!spec) return;
    // An image that came in stretched goes out the same way.
    const resize = job.task === 'txt2img' ? resizeToCover : stretch;
    const pixels = await resize(decoded, job);
    const infotext = describeImage(job, spec, model, plan, drawn, {
      vae,
      loras: batch.loras.loras.map(({ pack }) => pack),
      embeddings: batch.prompts[offset]?.embeddings ?? [],
    });
    const texts = job.output.texts?.[index] ?? (job.output.metadata ? { parameters: infotext } : {});
    emit({
      type: 'image',
      image: {
        ...spec,
        index,
        blob: await encodeImage(pixels, job.output, texts),
        width: job.width,
        height: job.height,
        infotext,
      },
    });
    progress.finished();
  }

  async function draw(batch: Batch): Promise<void> {
    model = await source.load({ ...changes, loras: batch.loras.loras }, addOns);
    progress.encoding();
    const encoded: EncodedPrompt[] = [];
    for (const read of batch.prompts) {
      encoded.push(await encodePrompts(model, read, { job, size: drawn }, note));
    }
    progress.sampling(plan.steps);
    const run = openRun(batch, encoded);
    try {
      const through = await execute(plan.program(), run.machine, { stopped });
      if (!through && !job.keepUnfinished) return;
      progress.decoding();
      for (const offset of batch.images.keys()) {
        const latents = through
          ? run.result(offset, model.scalingFactor)
          : run.estimate(offset, model.scalingFactor);
        if (latents) await finish(batch, offset, await decode(run, latents));
      }
    } finally {
      run.close();
    }
  }

  for (const batch of splitBatches(job, plan, prompts, loras)) {
    if (control.cancelled) break;
    control.skipped = false;
    await draw(batch);
  }
  return { interrupted: control.cancelled, notes: [...notes] };
}

/**
 * Adaptive samplers look at a whole batch's error, so that they run image by image; and a batch has one set of LoRAs.
 */
function* splitBatches(
  { images, batchSize }: GenerateJob,
  plan: SamplingPlan,
  prompts: readonly ReadPrompts[],
  choices: readonly LoraChoice[],
): Generator<Batch> {
  const size = plan.adaptive ? 1 : Math.max(1, batchSize);
  let from = 0;
  for (let loras = choices[from]; loras; loras = choices[from]) {
    let to = from + 1;
    while (to - from < size && choices[to]?.key === loras.key) to++;
    yield { images: images.slice(from, to), from, prompts: prompts.slice(from, to), loras };
    from = to;
  }
}

/** @throws AppError `model_not_found` when what a job names is not installed */
function findAddOn(kind: 'vae' | 'controlnet', id: ModelId, addOns: AddOns): AddOnPack {
  const found = addOns.find(kind, id);
  if (found) return found;
  const what = { vae: 'VAE', controlnet: 'ControlNet' }[kind];
  throw new AppError('model_not_found', `The ${what} “${id}” is not installed.`, { detail: { model: id } });
}

/** How a job wants the UNet written; FreeU and token merging need it for one size only. */
function unetOptions(
  { tiling = false, freeU, tokenMerging = 0 }: GraphSpec,
  { height, width }: LatentShape,
): UnetOptions {
  const isOfOneSize = freeU !== undefined || tokenMerging > 0;
  return {
    ...(tiling && { tiling }),
    ...(freeU && { freeU }),
    ...(tokenMerging > 0 && { tokenMerging: { ratio: tokenMerging } }),
    ...(isOfOneSize && { size: { height, width } }),
  };
}
