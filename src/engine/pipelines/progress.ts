import type { JobProgress } from '#protocol/job.ts';

/** Drawing's share of a job; the rest is loading, reading the prompt and decoding. */
const SAMPLING_SHARE = 0.9;

/** Turns what a pipeline does into {@link JobProgress}, time left included. */
export function createProgress(images: number, tell: (progress: JobProgress) => void) {
  let sampledFor = 0;
  let stepsDone = 0;
  let stepStarted = 0;
  let state: JobProgress = {
    phase: 'encoding',
    fraction: 0,
    image: 0,
    images,
    step: 0,
    steps: 0,
    secondsLeft: null,
  };
  const change = (changes: Partial<JobProgress>) => {
    state = { ...state, ...changes };
    tell(state);
  };

  return {
    encoding: () => change({ phase: 'encoding' }),
    /** A batch begins: `steps` for each of its images at once. */
    sampling(steps: number): void {
      stepStarted = performance.now();
      change({ phase: 'sampling', step: 0, steps });
    },
    /** @param imagesInBatch how many images this step moved on */
    step(step: number, imagesInBatch: number): void {
      const now = performance.now();
      sampledFor += now - stepStarted;
      stepStarted = now;
      stepsDone += imagesInBatch;
      const stepsOfAll = images * Math.max(state.steps, step);
      const stepsLeft = Math.max(0, stepsOfAll - state.image * state.steps - step * imagesInBatch);
      change({
        step,
        fraction: SAMPLING_SHARE * (1 - stepsLeft / stepsOfAll),
        secondsLeft: ((sampledFor / stepsDone) * stepsLeft) / 1000,
      });
    },
    /** An image's upscaling begins, in so many tiles. */
    upscaling(tiles: number): void {
      stepStarted = performance.now();
      change({ phase: 'upscaling', step: 0, steps: tiles });
    },
    decoding: () => change({ phase: 'decoding' }),
    /** One more image is finished. */
    finished(): void {
      const image = state.image + 1;
      change({ image, fraction: Math.max(state.fraction, image / images) });
    },
  };
}
