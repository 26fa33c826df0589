import type { JobProgress, Size } from '#protocol/job.ts';

/** The samplers' share of a job; the rest is loading, reading the prompt and decoding. */
const SAMPLING_SHARE = 0.9;

/** What is known of a pass before it runs: a step takes about as long as it has pixels. */
export interface ExpectedPass {
  steps: number;
  size: Size;
}

export type Progress = ReturnType<typeof createProgress>;

/** Turns what stages do into {@link JobProgress}, time left included. @param images how many the job makes */
export function createProgress(images: number, tell: (progress: JobProgress) => void) {
  /** Steps and the work of one, pass by pass; of jobs without passes, tiles of an image. */
  let parts: { steps: number; work: number }[] = [];
  let workDone = 0;
  let workedFor = 0;
  let stepStarted = 0;
  let state: JobProgress = {
    phase: 'loading',
    fraction: 0,
    image: 0,
    images,
    pass: 0,
    passes: 0,
    step: 0,
    steps: 0,
    secondsLeft: null,
    notes: [],
  };
  const change = (changes: Partial<JobProgress>) => {
    state = { ...state, ...changes };
    tell(state);
  };
  const workOf = (passes: typeof parts) => passes.reduce((sum, { steps, work }) => sum + steps * work, 0);

  function begin(phase: JobProgress['phase'], part: number, steps: number): void {
    stepStarted = performance.now();
    parts = parts.with(part, { work: parts[part]?.work ?? 1, steps });
    change({ phase, pass: part, step: 0, steps });
  }

  /** @param imagesInBatch how many images this step moved on */
  function step(done: number, imagesInBatch: number): void {
    const now = performance.now();
    const { pass, steps, image } = state;
    const work = parts[pass]?.work ?? 1;
    workedFor += now - stepStarted;
    stepStarted = now;
    workDone += imagesInBatch * work;
    // Adaptive samplers only know about how many steps they take.
    if (done > steps) parts = parts.with(pass, { work, steps: done });
    const ofImage = workOf(parts);
    const ofBatch = imagesInBatch * (workOf(parts.slice(0, pass)) + done * work);
    const left = Math.max(0, images * ofImage - image * ofImage - ofBatch);
    change({
      step: done,
      fraction: Math.max(state.fraction, SAMPLING_SHARE * (1 - left / (images * ofImage))),
      secondsLeft: ((workedFor / workDone) * left) / 1000,
    });
  }

  /** Behind passes what is done to finished images is not counted: it is the smaller part. */
  function beginPost(phase: JobProgress['phase'], steps: number): void {
    if (state.passes === 0) {
      parts = [{ steps, work: 1 }];
      begin(phase, 0, steps);
    } else change({ phase, step: 0, steps });
  }

  return {
    /** Sets how many passes there will be, and their steps as far as they are known. */
    expect(passes: readonly ExpectedPass[]): void {
      parts = passes.map(({ steps, size }) => ({ steps, work: size.width * size.height }));
      state = { ...state, passes: passes.length };
    },
    /** @param pass that networks are loaded for */
    loading: (pass = state.pass) => change({ phase: 'loading', pass }),
    encoding: () => change({ phase: 'encoding' }),
    /** A pass over a batch begins: `steps` for each of its images at once. */
    sampling: (pass: number, steps: number) => begin('sampling', pass, steps),
    step,
    /** Sampling continues after loading another model, which counts for no step. */
    resumed(): void {
      stepStarted = performance.now();
      change({ phase: 'sampling' });
    },
    /** An image's upscaling begins, in so many tiles. */
    upscaling: (tiles: number) => beginPost('upscaling', tiles),
    /** The restoration of so many faces begins. */
    restoring: (faces: number) => beginPost('restoring', faces),
    /** The passes over a region of a finished image begin: so many steps of them. */
    detailing: (regionSteps: number) => beginPost('detailing', regionSteps),
    /** So many tiles, faces or steps of what is done to the image are done. */
    tile(tiles: number): void {
      if (state.passes > 0) change({ step: tiles });
      else step(tiles, 1);
    },
    decoding: () => change({ phase: 'decoding' }),
    describing: () => change({ phase: 'describing' }),
    /** These are the notes by now; told with what happens next. */
    noted(notes: readonly string[]): void {
      state = { ...state, notes };
    },
    /** One more image is finished. */
    finished(): void {
      const image = state.image + 1;
      change({ image, fraction: Math.max(state.fraction, image / images) });
    },
  };
}

/** Progress of passes that are a part of a post step: they count as its steps, and make no image of the job. */
export function progressOfPart(whole: Progress): Progress {
  const nothing = () => undefined;
  return {
    ...whole,
    expect: nothing,
    loading: () => whole.loading(),
    sampling: (_, steps) => whole.detailing(steps),
    step: (done) => whole.tile(done),
    finished: nothing,
  };
}
