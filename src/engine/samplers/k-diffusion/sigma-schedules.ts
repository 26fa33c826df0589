import {
  betaSigmas,
  exponentialSigmas,
  interpolate,
  karrasSigmas,
  linspace,
} from '#engine/samplers/noise-schedule.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import type { Denoiser } from './denoiser.ts';

/** What a schedule may look at. */
interface ScheduleRequest {
  denoiser: Denoiser;
  sigmaMin: number;
  sigmaMax: number;
  /** Curve of the schedules that have one. */
  rho: number;
  options: KDiffusionOptions;
  alignYourSteps: 'sd1' | 'sdxl';
}

/** A rule that chooses the noise levels of a run. */
export interface SigmaSchedule {
  /** Curve of the schedule where it has one; `KDiffusionOptions.rho` overrides it. */
  defaultRho?: number;
  /** The denoiser the schedule brings with it: Fooocus patches the model when one of these is chosen. */
  patch?: 'lcm' | 'tcd' | 'edm';
  /** Falling sigmas of `count` steps, most often ending in 0. */
  sigmas(count: number, request: ScheduleRequest): number[];
}

/**
 * Every schedule type of A1111 1.10 (modules/sd_schedulers.py) and every scheduler name of Fooocus
 * (ldm_patched/modules/samplers.py, modules/sample_hijack.py), under their own names.
 */
export const sigmaSchedules = {
  uniform: {
    sigmas: (count, { denoiser }) =>
      evenLevels(
        count,
        denoiser,
        denoiser.sigmas[denoiser.sigmas.length - 1] ?? NaN,
        denoiser.sigmas[0] ?? NaN,
      ),
  },
  karras: {
    defaultRho: 7,
    sigmas: (count, { sigmaMin, sigmaMax, rho }) => closed(karrasSigmas(count, sigmaMin, sigmaMax, rho)),
  },
  exponential: {
    sigmas: (count, { sigmaMin, sigmaMax }) => closed(exponentialSigmas(count, sigmaMin, sigmaMax)),
  },
  polyexponential: {
    defaultRho: 1,
    sigmas: (count, { sigmaMin, sigmaMax, rho }) =>
      closed(
        linspace(1, 0, count).map((ramp) => sigmaMin * Math.exp(ramp ** rho * Math.log(sigmaMax / sigmaMin))),
      ),
  },
  sgm_uniform: { sigmas: sgmUniform },
  /** Source: Sabour et al. 2024 (arXiv 2404.14507), equation of the KL-optimal schedule; it does not end in 0. */
  kl_optimal: {
    sigmas: (count, { sigmaMin, sigmaMax }) =>
      linspace(Math.atan(sigmaMax), Math.atan(sigmaMin), count + 1).map(Math.tan),
  },
  align_your_steps: { sigmas: alignYourSteps },
  simple: {
    sigmas(count, { denoiser: { sigmas } }) {
      const stride = sigmas.length / count;
      return closed(
        Array.from({ length: count }, (_, i) => sigmas[sigmas.length - 1 - Math.floor(i * stride)] ?? NaN),
      );
    },
  },
  normal: {
    sigmas: (count, { denoiser, sigmaMin, sigmaMax }) => evenLevels(count, denoiser, sigmaMax, sigmaMin),
  },
  ddim: { sigmas: ddimUniform },
  ddim_uniform: { sigmas: ddimUniform },
  beta: {
    sigmas: (count, { sigmaMin, sigmaMax, options: { betaDistAlpha = 0.6, betaDistBeta = 0.6 } }) =>
      closed(betaSigmas(count, sigmaMin, sigmaMax, betaDistAlpha, betaDistBeta)),
  },
  /** Every hundredth timestep from the last, for models distilled to few steps; at most ten. */
  turbo: {
    sigmas: (count, { denoiser }) =>
      closed(Array.from({ length: Math.min(count, 10) }, (_, i) => denoiser.sigmaOfTimestep(999 - 100 * i))),
  },
  lcm: { patch: 'lcm', sigmas: sgmUniform },
  tcd: { patch: 'tcd', sigmas: sgmUniform },
  'edm_playground_v2.5': {
    patch: 'edm',
    sigmas: (count, { sigmaMin, sigmaMax }) => closed(karrasSigmas(count, sigmaMin, sigmaMax)),
  },
} as const satisfies Record<string, SigmaSchedule>;

/** Name of a sigma schedule. */
export type SigmaScheduleName = keyof typeof sigmaSchedules;

/** Whether there is a schedule of this name. */
export function isSigmaScheduleName(name: string): name is SigmaScheduleName {
  return Object.hasOwn(sigmaSchedules, name);
}

/** Even steps in time from the noisiest level, leaving the least noisy one out. */
function sgmUniform(count: number, { denoiser, sigmaMin, sigmaMax }: ScheduleRequest): number[] {
  return closed(evenLevels(count + 1, denoiser, sigmaMax, sigmaMin).slice(0, -2));
}

/** Every nth trained level, counted from the second least noisy one: often one step more than requested. */
function ddimUniform(count: number, { denoiser: { sigmas } }: ScheduleRequest): number[] {
  const stride = Math.max(Math.floor(sigmas.length / count), 1);
  const rising: number[] = [];
  for (let i = 1; i < sigmas.length; i += stride) rising.push(sigmas[i] ?? NaN);
  return closed(rising.reverse());
}

/** Optimised noise levels of ten steps. Source: Sabour et al. 2024; A1111 rounds them, ComfyUI does not. */
const ALIGN_YOUR_STEPS = {
  a1111: {
    sd1: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
    sdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
  },
  comfyui: {
    sd1: [
      14.6146412293, 6.4745760956, 3.8636745985, 2.694615152, 1.8841921177, 1.3943805092, 0.9642583904,
      0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ],
    sdxl: [
      14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289,
      0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ],
  },
} as const;

/** A1111 interpolates to `count` levels and adds 0; ComfyUI interpolates to one more and makes the last one 0. */
function alignYourSteps(
  count: number,
  { options: { reference = 'a1111' }, alignYourSteps }: ScheduleRequest,
): number[] {
  const logSigmas = ALIGN_YOUR_STEPS[reference][alignYourSteps].map(Math.log);
  const resample = (size: number) =>
    linspace(0, logSigmas.length - 1, size).map((at) => Math.exp(interpolate(logSigmas, at)));
  return closed(reference === 'a1111' ? resample(count) : resample(count + 1).slice(0, -1));
}

/** Even steps in time between two levels, both included, and 0. */
function evenLevels(count: number, denoiser: Denoiser, sigmaMax: number, sigmaMin: number): number[] {
  const start = denoiser.timestepOfSigma(sigmaMax);
  const end = denoiser.timestepOfSigma(sigmaMin);
  return closed(linspace(start, end, count).map((timestep) => denoiser.sigmaOfTimestep(timestep)));
}

function closed(sigmas: number[]): number[] {
  return [...sigmas, 0];
}
