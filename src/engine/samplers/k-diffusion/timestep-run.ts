import { interpolate } from '#engine/samplers/noise-schedule.ts';
import {
  INIT_LATENTS,
  UNIT_NOISE,
  type Register,
  type SamplerProgram,
  type Term,
} from '#engine/samplers/program.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import type { Denoiser } from './denoiser.ts';
import { combine, type Masked } from './run.ts';

/** A noise level with the timestep given to the network there. */
export interface Level {
  timestep: number;
  sigma: number;
}

/**
 * What the samplers of the original repository work on: variance-preserving latents
 * `√ᾱ · image + √(1 − ᾱ) · noise` of the first level in register `x`, to be brought to the last level.
 * Source of the form: A1111 modules/sd_samplers_timesteps_impl.py.
 */
export interface TimestepRun {
  denoiser: Denoiser;
  /** Falling. The network runs at all but the last. */
  levels: readonly Level[];
  options: KDiffusionOptions;
  skipsUnconditional(sigma: number): boolean;
  masked: Masked;
}

/** ᾱ at a noise level. */
export function alphaOf({ sigma }: Level): number {
  return 1 / (1 + sigma * sigma);
}

/** The steps of a run: from each level to the next. `number` counts from 1. */
export function* levelSteps(levels: readonly Level[]): Generator<{ number: number; from: Level; to: Level }> {
  let from: Level | undefined;
  let number = 0;
  for (const to of levels) {
    if (from) yield { number: ++number, from, to };
    from = to;
  }
}

/**
 * Runs the network on the variance-preserving latents in `from`; its raw output lands in `output`. With a mask it sees
 * the image outside; what becomes of the latents there does not matter, for it is never looked at.
 */
export function* evaluate(run: TimestepRun, from: Register, level: Level): SamplerProgram {
  const skipUnconditional = run.skipsUnconditional(level.sigma);
  const { input } = run.denoiser.at(level.sigma);
  if (run.masked === 'comfyui') {
    const alpha = alphaOf(level);
    yield combine('kept', [Math.sqrt(alpha), INIT_LATENTS], [Math.sqrt(1 - alpha), UNIT_NOISE]);
  }
  if (run.masked) {
    const outside = run.masked === 'comfyui' ? 'kept' : INIT_LATENTS;
    yield { op: 'blend', to: 'seen', inside: from, outside, level: level.timestep };
  }
  yield {
    op: 'denoise',
    from: run.masked ? 'seen' : from,
    to: 'output',
    timestep: level.timestep,
    inputScale: input * Math.sqrt(1 + level.sigma ** 2),
    ...(skipUnconditional && { skipUnconditional }),
  };
}

/** The denoised image as a sum of the latents and the network's output at a level. */
export function denoisedTerms(run: TimestepRun, x: Register, output: Register, level: Level): [Term, Term] {
  const { skip, output: weight } = run.denoiser.at(level.sigma);
  return [
    [skip * Math.sqrt(1 + level.sigma ** 2), x],
    [weight, output],
  ];
}

/** The predicted noise as a sum of the latents and the network's output at a level. */
export function noiseTerms(run: TimestepRun, x: Register, output: Register, level: Level): [Term, Term] {
  const { skip, output: weight } = run.denoiser.at(level.sigma);
  return [
    [((1 - skip) * Math.sqrt(1 + level.sigma ** 2)) / level.sigma, x],
    [-weight / level.sigma, output],
  ];
}

/** Runs the network on `from` and leaves the denoised image in `denoised`, the predicted noise in `epsilon`. */
export function* predict(run: TimestepRun, from: Register, level: Level): SamplerProgram {
  yield* evaluate(run, from, level);
  yield combine('denoised', ...denoisedTerms(run, from, 'output', level));
  yield combine('epsilon', ...noiseTerms(run, from, 'output', level));
}

/**
 * The levels of DDIM and PLMS, falling: every nth timestep from 1, or quadratically spaced ones.
 * Source: A1111 modules/sd_samplers_timesteps.py; for `quad` Rombach et al. `make_ddim_timesteps`.
 */
export function ddimLevels(steps: number, denoiser: Denoiser, discretize: 'uniform' | 'quad'): Level[] {
  const count = denoiser.sigmas.length;
  const rising: number[] = [];
  if (discretize === 'uniform') {
    const stride = Math.max(Math.floor(count / steps), 1);
    for (let timestep = 0; timestep < count; timestep += stride) rising.push(timestep);
  } else {
    const last = Math.sqrt(count * 0.8);
    for (let i = 0; i < steps; i++) rising.push(Math.floor(((last * i) / Math.max(steps - 1, 1)) ** 2));
  }
  return rising
    .map((timestep) => Math.min(timestep + 1, count - 1))
    .reverse()
    .map((timestep) => {
      const alpha = denoiser.alphasCumprod[timestep] ?? NaN;
      return { timestep, sigma: Math.sqrt((1 - alpha) / alpha) };
    });
}

/**
 * Time t, 1/N at the least noisy training level and 1 at the noisiest, as a level: log ᾱ is linear between them.
 * Source: A1111 uni_pc.py, `NoiseScheduleVP`.
 */
export function levelOfTime(time: number, denoiser: Denoiser): Level {
  const count = denoiser.alphasCumprod.length;
  const timestep = time * count - 1;
  const logAlpha = interpolate(Array.from(denoiser.alphasCumprod, Math.log), timestep);
  return { timestep: timestep * (1000 / count), sigma: Math.sqrt(Math.expm1(-logAlpha)) };
}

/** The inverse of {@link levelOfTime}. */
export function timeOfSigma(sigma: number, denoiser: Denoiser): number {
  const logAlphas = Array.from(denoiser.alphasCumprod, Math.log);
  const target = -Math.log1p(sigma * sigma);
  const above = logAlphas.findIndex((logAlpha) => logAlpha <= target);
  const index = above < 0 ? logAlphas.length - 1 : Math.max(above, 1);
  const from = logAlphas[index - 1] ?? NaN;
  const to = logAlphas[index] ?? NaN;
  return (index + (target - from) / (to - from)) / logAlphas.length;
}

/** A sigma as a level. */
export function levelOfSigma(sigma: number, denoiser: Denoiser): Level {
  return { timestep: denoiser.at(sigma).timestep, sigma };
}
