import type { ProgramFacts } from './examine.ts';
import type { SamplerProgram } from './program.ts';

/** What a run starts from. */
export type SamplingStart =
  | { from: 'noise' }
  | {
      /** The image's latents in register `init`, made noisy. */
      from: 'init';
      /** 0 … 1: how much of the way back to pure noise. */
      strength: number;
      /** Run all requested steps from there on, instead of `strength` of them. */
      exactSteps?: boolean;
      /** Generate again only where the run's mask is 1. The result is still to be blended with `init` there. */
      masked?: boolean;
    };

/** A run worked out: its program, and what the program will do; of an adaptive one, about what. */
export interface SamplingPlan extends ProgramFacts {
  /** A fresh program each time, one for each batch. */
  program(): SamplerProgram;
  /** Noise level at the start of each step, and the one where the run ends, mostly 0. */
  sigmas: number[];
  /** The lowest sigma above 0 and the highest that a Brownian path spans; null where the run follows none. */
  brownianRange: readonly [sigmaMin: number, sigmaMax: number] | null;
  /** Runs of the network for one image, guidance counted once. */
  evaluations: number;
  /** Whether A1111 adds ENSD to the seed of this sampler's own noise. */
  usesEnsd: boolean;
  /** Sigmas of the training timesteps, rising, of samplers that go by sigmas; null for those that go by timesteps. */
  trainingSigmas: ArrayLike<number> | null;
  /** Evaluations as A1111 counts them ahead: the steps, twice for samplers of second order. */
  expectedCalls: number;
  /** The sigma schedule in use; null for the model's own levels and for samplers with their own times. */
  schedule: string | null;
}
