import { createBrownianBatch } from '#engine/random/brownian.ts';
import { noiseGenerators } from '#engine/random/latent-noise.ts';
import type { TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import type { Control } from '#engine/stages/control/control.ts';
import { decodeLatents } from '#engine/stages/decode/decode-latents.ts';
import type { StartLatents } from '#engine/stages/init/init-latents.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import { isStopped, type Stage } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { toPng } from '#engine/stages/write/encode-image.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { openSamplingRun, type SamplingRun } from './sampling-run.ts';
import { latentLength } from './unet.ts';

/** Latents of a batch, where the sampler left them. */
export interface Denoised extends Pick<SamplingRun, 'read' | 'close'> {
  /** Whether it ran to its end. */
  isComplete: boolean;
  /** Those of an image, scaled for the VAE; of a run that was stopped its last estimate, null before there is one. */
  latents(image: number): TensorValue | null;
}

/** The batch, what its UNet is given, and what it starts from. */
export interface DenoiseInput extends LoadedBatch {
  prompts: readonly EncodedPrompt[];
  controls: readonly Control[];
  latents: StartLatents;
}

/**
 * Runs the sampler over a batch, showing previews on the way; it ends early when it is stopped.
 * @throws AppError `not_a_number` when the latents break, and what the runtime throws
 */
export const denoise: Stage<DenoiseInput, Denoised> = async (run, input) => {
  const { job, batch, pass, model, plan, prompts, controls, latents } = input;
  const { scalingFactor } = model;
  run.progress.sampling(pass.index, plan.steps);
  const sampling = openSamplingRun(model.takesBuffers ? run.runtime.device : null, {
    unet: model.unet,
    shape: pass.shape,
    controls,
    evaluations: plan.evaluations,
    prompts,
    guidanceScale: pass.spec.guidanceScale,
    start: latents.start,
    nextNoise: () => latents.noise.next(),
    ...(plan.brownianRange && {
      brownian: createBrownianBatch(
        batch.images.map(({ seed }) => seed),
        {
          range: plan.brownianRange,
          size: latentLength(pass.shape),
          generator: noiseGenerators[job.noise.brownianSource ?? job.noise.source],
        },
      ),
    }),
    async show(step) {
      run.progress.step(step, batch.images.length);
      await yieldToEvents();
      if (isStopped(run)) return;
      await run.previews.offer(async () => {
        const estimate = sampling.estimate(0, scalingFactor);
        if (!estimate) return;
        const pixels = await decodeLatents(run.runtime, model, estimate, sampling.read);
        run.emit({ type: 'preview', blob: toPng(pixels) });
      });
    },
  });
  try {
    const isComplete = await execute(plan.program(), sampling.machine, { stopped: () => isStopped(run) });
    return {
      isComplete,
      latents: (image) =>
        isComplete ? sampling.result(image, scalingFactor) : sampling.estimate(image, scalingFactor),
      read: sampling.read,
      close: () => sampling.close(),
    };
  } catch (thrown) {
    sampling.close();
    throw thrown;
  }
};
