import type { SamplerProgram } from './program.ts';

/** What a run starts from. */
export type SamplingStart =
  | { from: 'noise' }
  | {
      /** The picture's latents in register `init`, made noisy. */
      from: 'init';
      /** 0 … 1: how much of the way back to pure noise. */
      strength: number;
      /** Run all the steps asked for from there on, instead of `strength` of them. */
      exactSteps?: boolean;
    };

/** A run worked out: its program, and what the program will do, found by going through it once. */
export interface SamplingPlan {
  /** A fresh program each time, one for each batch. */
  program(): SamplerProgram;
  /** Noise level at the start of each step, and the one where the run ends, mostly 0. */
  sigmas: number[];
  /** What the network is told at each of its evaluations. */
  timesteps: number[];
  /** Runs of the network for one picture, guidance counted once; an estimate for adaptive samplers. */
  evaluations: number;
  /** Steps shown; an estimate for adaptive samplers. */
  steps: number;
  /** Whether it adds no noise of its own. */
  deterministic: boolean;
  /** Whether its noise is a Brownian path of each picture's seed. */
  brownian: boolean;
  /** Whether the step sizes depend on the picture: such runs take one picture at a time. */
  adaptive: boolean;
  /** Whether A1111 adds ENSD to the seed of this sampler's own noise. */
  usesEnsd: boolean;
  /** The sigma schedule in use; null for the model's own levels and for samplers with their own times. */
  schedule: string | null;
}
