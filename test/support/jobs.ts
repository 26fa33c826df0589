import type { GenerateJob, Pass, Size } from '#protocol/job.ts';

interface Asked
  extends
    Partial<Omit<Pass, 'size'>>,
    Partial<Size>,
    Partial<Pick<GenerateJob, 'batchSize' | 'noise' | 'keepUnfinished'>> {
  prompt: string;
  negativePrompt?: string;
  /** One image each. */
  seeds: readonly bigint[];
}

/** A job of one pass for the built-in model, with torch's CPU noise as the reference images have it. */
export function textToImage({
  prompt,
  negativePrompt = '',
  seeds,
  batchSize = 1,
  noise = { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 },
  keepUnfinished = false,
  width = 256,
  height = 256,
  ...pass
}: Asked): GenerateJob {
  return {
    task: 'generate',
    init: { from: 'noise' },
    batchSize,
    noise,
    keepUnfinished,
    promptOptions: { syntax: 'plain', emphasis: 'none', clipSkip: 1, commaPaddingBacktrack: 20 },
    post: [],
    output: {
      format: 'png',
      quality: 1,
      metadata: { samplerLabel: 'Euler', scheduleLabel: null, extra: [] },
    },
    images: seeds.map((seed) => ({
      prompt: [prompt],
      negativePrompt: [negativePrompt],
      seed,
      subseed: 0n,
    })),
    passes: [
      {
        model: 'emoji-mini',
        size: { width, height },
        steps: 4,
        strength: 1,
        guidanceScale: 4,
        sampler: { family: 'diffusers', scheduler: 'EulerDiscreteScheduler', config: {} },
        ...pass,
      },
    ],
  };
}

/** The job with all its passes changed. */
export function withPass(job: GenerateJob, changes: Partial<Pass>): GenerateJob {
  const [first, ...others] = job.passes;
  return { ...job, passes: [{ ...first, ...changes }, ...others.map((pass) => ({ ...pass, ...changes }))] };
}
