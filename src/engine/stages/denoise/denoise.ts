import type { LoadedModel } from '#engine/models/model.ts';
import { createBrownianBatch } from '#engine/random/brownian.ts';
import { noiseGenerators } from '#engine/random/latent-noise.ts';
import type { TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { refinerCall } from '#engine/samplers/refiner-switch.ts';
import type { Control } from '#engine/stages/control/control.ts';
import { readControls, type ControlInput } from '#engine/stages/control/read-controls.ts';
import type { StartLatents } from '#engine/stages/init/init-latents.ts';
import { loadPass } from '#engine/stages/load/load-pass.ts';
import { encodePrompts } from '#engine/stages/prompts/encode-prompts.ts';
import { isStopped, type RunContext, type Stage } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { toAppError } from '#protocol/error.ts';
import type { ModelPack } from '#protocol/model.ts';
import { createFooocusGuider, isSharpened } from './fooocus-guider.ts';
import { takesAnySize, tilesOf, windowsOf } from './panorama.ts';
import { previewOf } from './preview.ts';
import { openSamplingRun, type NextNetwork, type SamplingRun, type SamplingSetup } from './sampling-run.ts';
import { selfAttentionGuidance } from './self-attention.ts';
import { latentLength, type GuidedUnet, type LatentShape } from './unet.ts';

/** Latents of a batch, where the sampler left them. */
export interface Denoised extends Pick<SamplingRun, 'read' | 'close'> {
  /** Whether it ran to its end. */
  isComplete: boolean;
  /** The model that is on the device now: the refiner once the pass has reached it. */
  model: LoadedModel;
  /** Those of an image, scaled for that model's VAE; of a run that was stopped its last estimate, null before there is one. */
  latents(image: number): TensorValue | null;
}

/** The batch, what its UNet is given, and what it starts from. */
export interface DenoiseInput extends ControlInput {
  prompts: readonly EncodedPrompt[];
  controls: readonly Control[];
  latents: StartLatents;
}

/**
 * Runs the sampler over a batch, showing previews; it ends early when it is stopped.
 * @throws AppError `not_a_number` when the latents break, `unsupported_feature` for models that self-attention guidance
 *   cannot guide, and what the runtime throws
 */
export const denoise: Stage<DenoiseInput, Denoised> = async (run, input) => {
  const { pass, model, latents } = input;
  const device = runsOnDevice(input) ? run.runtime.device : null;
  const windows = windowsOf(pass.spec, model.pack, pass.shape);
  const fallback = fallbackOf(run, model.pack, pass.shape);
  const nextNoise = () => latents.noise.next();
  if (!device || !fallback || !takesAnySize(model.unet)) {
    return sample(run, input, { device, windows, fallback, nextNoise });
  }
  const noise = createReplay(nextNoise);
  const seen = { refiner: false };
  const onRefiner = () => (seen.refiner = true);
  try {
    return await sample(run, input, { device, windows, fallback, nextNoise: noise.next, onRefiner });
  } catch (thrown) {
    // What was loaded for the refiner may have taken the place of the model.
    if (toAppError(thrown).code !== 'out_of_memory' || seen.refiner) throw thrown;
  }
  // Buffers hold the latents as a whole. In arrays the run begins again, with the same noise, and goes on in tiles where it must.
  noise.rewind();
  return sample(run, input, { device: null, windows, fallback, nextNoise: noise.next });
};

/** How a batch is sampled. */
type Ways = Pick<SamplingSetup, 'windows' | 'fallback' | 'nextNoise'> & {
  /** Where latents are kept; null for arrays. */
  device: GPUDevice | null;
  /** The refiner has been loaded. */
  onRefiner?: () => void;
};

async function sample(
  run: RunContext,
  input: DenoiseInput,
  { device, windows, fallback, nextNoise, onRefiner }: Ways,
): Promise<Denoised> {
  const { job, batch, pass, plan, latents } = input;
  let { model } = input;
  run.progress.sampling(pass.index, plan.steps);
  const next = refinerOf(run, input, (loaded) => {
    model = loaded;
    onRefiner?.();
  });
  const sampling = openSamplingRun(device, {
    network: networkOf(input),
    next,
    windows,
    fallback,
    start: latents.start,
    nextNoise,
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
        const preview = await previewOf(run, job, model, sampling);
        if (preview) run.emit({ type: 'preview', preview: toRgb(preview) });
      });
    },
  });
  try {
    const isComplete = await execute(plan.program(), sampling.machine, { stopped: () => isStopped(run) });
    return {
      isComplete,
      model,
      latents: (image) =>
        isComplete
          ? sampling.result(image, model.scalingFactor)
          : sampling.estimate(image, model.scalingFactor),
      read: sampling.read,
      close: () => sampling.close(),
    };
  } catch (thrown) {
    sampling.close();
    throw thrown;
  }
}

/** Draws that can be had again from the first one on. */
function createReplay(draw: () => Float32Array): { next: () => Float32Array; rewind: () => void } {
  const drawn: Float32Array[] = [];
  let at = 0;
  return {
    next() {
      const noise = drawn[at] ?? draw();
      drawn[at++] = noise;
      return noise;
    },
    rewind: () => (at = 0),
  };
}

/** The tiles that a pass goes on in where the memory for all of its latents is not there. */
function fallbackOf(run: RunContext, pack: ModelPack, shape: LatentShape): SamplingSetup['fallback'] {
  const windows = pack.sizing === 'exact' ? tilesOf(pack, shape) : undefined;
  return (
    windows && {
      windows,
      onUse: () =>
        run.note('The image was denoised in tiles: there is not enough memory for all of it at once.'),
    }
  );
}

/** Windows, attention maps, regions of ControlNets and what Fooocus sharpens are worked on in arrays, and so is what a network does not take as a buffer. */
function runsOnDevice(input: DenoiseInput): boolean {
  const {
    pass: { spec, refiner, shape },
    model,
    controls,
  } = input;
  const windows = windowsOf(spec, model.pack, shape);
  const isPartial = controls.some(({ region, restoration }) => region ?? restoration);
  const inArrays =
    windows !== undefined ||
    spec.selfAttentionGuidance !== undefined ||
    isSharpened(networkOf(input)) ||
    isPartial;
  return model.takesBuffers && refiner?.model.pack.weights !== 'onnx' && !inArrays;
}

function networkOf({
  pass,
  model,
  plan,
  prompts,
  controls,
  imagePrompts,
}: Omit<DenoiseInput, 'latents' | 'inits'>): GuidedUnet {
  const { guidanceScale, selfAttentionGuidance: attention, fooocusGuidance: fooocus } = pass.spec;
  return {
    unet: model.unet,
    shape: pass.shape,
    controls,
    imagePrompts,
    evaluations: plan.evaluations,
    prompts,
    guidanceScale,
    selfAttention: attention && selfAttentionGuidance(attention.scale, model.noiseModel),
    fooocus: fooocus && createFooocusGuider(fooocus, model.noiseModel),
  };
}

/** The pass's refiner, loaded when it is its turn, with prompts that its own text encoders read. */
function refinerOf(
  run: RunContext,
  { job, batch, pass, plan, inits }: DenoiseInput,
  onLoaded: (model: LoadedModel) => void,
): NextNetwork | null {
  const { refiner, spec } = pass;
  const fromCall = refiner && spec.refiner ? refinerCall(plan, spec.refiner, spec.sampler) : null;
  if (!refiner || fromCall === null) return null;
  return {
    fromCall,
    async open() {
      const loaded = await loadPass(run, { job, batch, pass: refiner });
      onLoaded(loaded.model);
      const prompts = await encodePrompts(run, loaded);
      const controls = refiner.controlNets.length > 0 ? await readControls(run, { ...loaded, inits }) : [];
      run.progress.resumed();
      return networkOf({ ...loaded, plan, prompts, controls });
    },
  };
}
