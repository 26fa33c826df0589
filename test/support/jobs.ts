import type { TextToImageJob } from '#protocol/job.ts';

interface Asked extends Partial<
  Pick<
    TextToImageJob,
    | 'steps'
    | 'guidanceScale'
    | 'sampler'
    | 'width'
    | 'height'
    | 'batchSize'
    | 'noise'
    | 'keepUnfinished'
    | 'model'
  >
> {
  prompt: string;
  negativePrompt?: string;
  /** One image each. */
  seeds: readonly bigint[];
}

/** A job for the built-in model, with torch's CPU noise as the reference images have it. */
export function textToImage({ prompt, negativePrompt = '', seeds, ...rest }: Asked): TextToImageJob {
  return {
    task: 'txt2img',
    model: 'emoji-mini',
    batchSize: 1,
    width: 256,
    height: 256,
    steps: 4,
    guidanceScale: 4,
    sampler: { family: 'diffusers', scheduler: 'EulerDiscreteScheduler', config: {} },
    noise: { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 },
    promptOptions: { syntax: 'plain', emphasis: 'none', clipSkip: 1, commaPaddingBacktrack: 20 },
    output: {
      format: 'png',
      quality: 1,
      metadata: { samplerLabel: 'Euler', scheduleLabel: null, extra: [] },
    },
    keepUnfinished: false,
    ...rest,
    images: seeds.map((seed) => ({
      prompt: [prompt],
      negativePrompt: [negativePrompt],
      seed,
      subseed: 0n,
    })),
  };
}
