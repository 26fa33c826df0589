import { enhancePrompt } from '#codecs/prompt/enhance.ts';
import type { ControlSpec, GenerateJob, PostStep } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import { chooseAddOns, type AddOnFields } from './diffusers-add-ons.ts';
import { diffusersSampler, type DiffusersSchedulerName } from './diffusers-scheduler.ts';
import { countingSeeds, PLAIN_PROMPT, randomSeed, TORCH_NOISE } from './job.ts';
import { installedAddOns } from './models.ts';

/** What ModelsLab and its resellers let clients say of a generation, as their dialects have read it. */
interface DiffusersRequest {
  model: ModelInfo;
  prompt: string;
  negativePrompt: string;
  /** Adds words of quality to the prompt. */
  enhancePrompt: boolean;
  /** Pixels, multiples of 8. */
  width: number;
  height: number;
  samples: number;
  /** The first image's; null leaves it to chance. */
  seed: bigint | null;
  steps: number;
  guidanceScale: number;
  scheduler: DiffusersSchedulerName;
  useKarrasSigmas: boolean;
  /** See {@link diffusersSampler}. */
  algorithmType: string | null;
  clipSkip: number;
  /** Doubles the sides of the finished images. */
  upscale: boolean;
  addOns: AddOnFields;
  controls?: readonly ControlSpec[];
}

/** The job of such a request. @throws AppError as {@link chooseAddOns} */
export function planDiffusersJob(request: DiffusersRequest, addOns: readonly AddOnInfo[]): GenerateJob {
  const chosen = chooseAddOns(request.addOns, addOns);
  return {
    task: 'generate',
    images: countingSeeds(request.samples, {
      prompt: [request.enhancePrompt ? enhancePrompt(request.prompt) : request.prompt],
      negativePrompt: [request.negativePrompt],
      seed: request.seed ?? randomSeed(),
    }),
    batchSize: request.samples,
    init: { from: 'noise' },
    passes: [
      {
        model: request.model.pack.id,
        ...chosen.pass,
        size: { width: request.width, height: request.height },
        steps: request.steps,
        strength: 1,
        sampler: diffusersSampler(request.scheduler, {
          useKarrasSigmas: request.useKarrasSigmas,
          algorithmType: request.algorithmType,
        }),
        guidanceScale: request.guidanceScale,
      },
    ],
    noise: TORCH_NOISE,
    promptOptions: { ...PLAIN_PROMPT, clipSkip: request.clipSkip, ...chosen.prompt },
    ...chosen.job,
    ...(request.controls && { controls: request.controls }),
    post: request.upscale ? [doubling(addOns)] : [],
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  };
}

/** The services double sides by an upscaling network; without one installed the image is resized. */
function doubling(addOns: readonly AddOnInfo[]): PostStep {
  const [network] = installedAddOns(addOns, 'upscaler');
  return { kind: 'upscale', upscaler: network?.pack.id ?? 'Lanczos', size: { factor: 2 } };
}

/** Pixels of a job's finished images. */
export function finishedSize({ passes, post }: GenerateJob): { width: number; height: number } {
  const { width, height } = (passes.at(-1) ?? passes[0]).size;
  const factor = post.reduce((product, { size }) => product * ('factor' in size ? size.factor : 1), 1);
  return { width: width * factor, height: height * factor };
}

/** The class that runs for a job of {@link planDiffusersJob}. */
export function schedulerOf({ passes: [{ sampler }] }: GenerateJob): string {
  return sampler.family === 'diffusers' ? sampler.scheduler : '';
}
