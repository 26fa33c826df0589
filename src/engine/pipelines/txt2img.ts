import type { LoadedModel } from '#engine/models/model.ts';
import { createBrownianBatch } from '#engine/random/brownian.ts';
import { createNoiseStream, noiseGenerators } from '#engine/random/latent-noise.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { PictureSpec, TextToImageJob } from '#protocol/job.ts';
import type { PromptEncoder } from './conditioning.ts';
import { decodeLatents } from './decode.ts';
import { describePicture } from './describe.ts';
import { chooseDrawSize } from './draw-size.ts';
import { encodePicture, toPng } from './encode-picture.ts';
import { openSamplingRun, type SamplingRun } from './sampling-run.ts';
import { createPreviewClock } from './previews.ts';
import { createProgress } from './progress.ts';
import { resizeToCover } from './resize.ts';
import { latentLength, type LatentShape } from './unet.ts';
import { yieldToEvents } from './yield-to-events.ts';

/** What stops a run from outside; asked between steps. */
export interface RunControl {
  cancelled: boolean;
  /** Ends the current batch only. Taken back when the next begins. */
  skipped: boolean;
}

interface Batch {
  pictures: readonly PictureSpec[];
  /** Position of its first picture in the job. */
  from: number;
}

/**
 * Draws the pictures of a job: prompt, latents, denoising loop, VAE, file. Finished pictures are handed over as
 * they come.
 * @throws AppError `invalid_request`, `unsupported_feature` for what the sampler or model cannot do,
 *   `not_a_number` when the latents break, and what the runtime throws
 */
export async function drawTextToImage(
  runtime: Runtime,
  model: LoadedModel,
  prompts: PromptEncoder,
  job: TextToImageJob,
  control: RunControl,
  emit: (event: EngineEvent) => void,
): Promise<RunOutcome> {
  const { latent } = model.pack;
  const plan = planSampling(job.sampler, model.noiseModel, job.steps);
  const drawn = chooseDrawSize(model.pack, job);
  const shape: LatentShape = {
    channels: latent.channels,
    height: drawn.height / latent.downscale,
    width: drawn.width / latent.downscale,
  };
  const progress = createProgress(job.pictures.length, (state) =>
    emit({ type: 'progress', progress: state }),
  );
  const previews = createPreviewClock();
  const notes = new Set<string>();
  const stopped = () => control.cancelled || control.skipped;

  function openRun(batch: Batch, encoded: readonly EncodedPrompt[]): SamplingRun {
    const run = openSamplingRun(runtime, model.unet, {
      shape,
      prompts: encoded,
      guidanceScale: job.guidanceScale,
      noise: createNoiseStream(
        { ...job.noise, etaNoiseSeedDelta: plan.usesEnsd ? job.noise.etaNoiseSeedDelta : 0 },
        batch.pictures,
        [shape.channels, shape.height, shape.width],
        latent.downscale,
      ),
      ...(plan.brownianRange && {
        brownian: createBrownianBatch(
          batch.pictures.map(({ seed }) => seed),
          {
            range: plan.brownianRange,
            size: latentLength(shape),
            generator: noiseGenerators[job.noise.brownianSource ?? job.noise.source],
          },
        ),
      }),
      async show(step) {
        progress.step(step, batch.pictures.length);
        await yieldToEvents();
        if (stopped()) return;
        await previews.offer(async () => {
          const estimate = run.estimate(0, latent.scalingFactor);
          if (estimate) emit({ type: 'preview', blob: toPng(await decodeLatents(model, estimate)) });
        });
      },
    });
    return run;
  }

  async function finish(spec: PictureSpec, index: number, latents: TensorValue): Promise<void> {
    const pixels = await resizeToCover(await decodeLatents(model, latents), job);
    const infotext = describePicture(job, spec, model, plan, drawn);
    const texts = job.output.texts?.[index] ?? (job.output.metadata ? { parameters: infotext } : {});
    emit({
      type: 'picture',
      picture: {
        ...spec,
        index,
        blob: await encodePicture(pixels, job.output, texts),
        width: job.width,
        height: job.height,
        infotext,
      },
    });
    progress.finished();
  }

  async function draw(batch: Batch): Promise<void> {
    progress.encoding();
    const encoded: EncodedPrompt[] = [];
    for (const picture of batch.pictures) {
      encoded.push(await prompts.encode(picture, job.promptOptions, plan, (note) => notes.add(note)));
    }
    progress.sampling(plan.steps);
    const run = openRun(batch, encoded);
    try {
      const through = await execute(plan.program(), run.machine, { stopped });
      if (!through && !job.keepUnfinished) return;
      progress.decoding();
      for (const [offset, spec] of batch.pictures.entries()) {
        const latents = through
          ? run.result(offset, latent.scalingFactor)
          : run.estimate(offset, latent.scalingFactor);
        if (latents) await finish(spec, batch.from + offset, latents);
      }
    } finally {
      run.close();
    }
  }

  for (const batch of splitBatches(job, plan)) {
    if (control.cancelled) break;
    control.skipped = false;
    await draw(batch);
  }
  return { interrupted: control.cancelled, notes: [...notes] };
}

/** Adaptive samplers look at a whole batch's error, so that they run picture by picture. */
function* splitBatches(job: TextToImageJob, plan: SamplingPlan): Generator<Batch> {
  const size = plan.adaptive ? 1 : Math.max(1, job.batchSize);
  for (let from = 0; from < job.pictures.length; from += size) {
    yield { pictures: job.pictures.slice(from, from + size), from };
  }
}
