import type { LoadedModel } from '#engine/models/model.ts';
import { createBrownianBatch } from '#engine/random/brownian.ts';
import { createNoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { RESULT } from '#engine/samplers/program.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { PictureSpec, TextToImageJob } from '#protocol/job.ts';
import type { PromptEncoder } from './conditioning.ts';
import { decodeLatents } from './decode.ts';
import { describePicture } from './describe.ts';
import { chooseDrawSize } from './draw-size.ts';
import { encodePicture, toPng } from './encode-picture.ts';
import { openSamplingMachine } from './machine.ts';
import { createPreviewClock } from './previews.ts';
import { createProgress } from './progress.ts';
import { resizeToCover } from './resize.ts';
import { latentLength, type LatentShape } from './unet.ts';

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
  const progress = createProgress(job.pictures.length, (state) => emit({ type: 'progress', progress: state }));
  const previews = createPreviewClock();
  const notes = new Set<string>();
  const stopped = () => control.cancelled || control.skipped;

  async function sample(batch: Batch, encoded: readonly EncodedPrompt[]) {
    const noise = createNoiseStream(
      { ...job.noise, etaNoiseSeedDelta: plan.usesEnsd ? job.noise.etaNoiseSeedDelta : 0 },
      batch.pictures,
      [shape.channels, shape.height, shape.width],
      latent.downscale,
    );
    const machine = await openSamplingMachine(runtime, model.unet, {
      shape,
      prompts: encoded,
      guidanceScale: job.guidanceScale,
      noise,
      ...(plan.brownian && {
        brownian: createBrownianBatch(
          batch.pictures.map(({ seed }) => seed),
          latentLength(shape),
        ),
      }),
      async show(step, estimate) {
        progress.step(step, batch.pictures.length);
        if (stopped()) return;
        await previews.offer(async () => {
          emit({ type: 'preview', blob: toPng(await decodeLatents(model, await estimate(), shape)) });
        });
      },
    });
    try {
      const finished = await execute(plan.program(), machine, { stopped });
      if (!finished && !job.keepUnfinished) return null;
      return finished ? await machine.latents(RESULT) : await machine.estimate();
    } finally {
      machine.close();
    }
  }

  async function finish(spec: PictureSpec, index: number, latents: Float32Array): Promise<void> {
    const pixels = await resizeToCover(await decodeLatents(model, latents, shape), job);
    const infotext = describePicture(job, spec, model, plan, drawn);
    const own = job.output.texts?.[index];
    const texts = own ?? (job.output.metadata ? { parameters: infotext } : {});
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

  for (const batch of splitBatches(job, plan)) {
    if (control.cancelled) break;
    control.skipped = false;
    progress.encoding();
    const encoded: EncodedPrompt[] = [];
    for (const picture of batch.pictures) {
      encoded.push(await prompts.encode(picture, job.promptOptions, plan, (note) => notes.add(note)));
    }
    progress.sampling(plan.steps);
    const latents = await sample(batch, encoded);
    if (!latents) continue;
    progress.decoding();
    const length = latentLength(shape);
    for (const [offset, spec] of batch.pictures.entries()) {
      await finish(spec, batch.from + offset, latents.subarray(offset * length, (offset + 1) * length));
    }
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
