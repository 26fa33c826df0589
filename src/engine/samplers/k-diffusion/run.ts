import {
  INIT_LATENTS,
  UNIT_NOISE,
  type Instruction,
  type Register,
  type SamplerProgram,
  type Term,
} from '#engine/samplers/program.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import type { Denoiser } from './denoiser.ts';

/** What a sampler works on: latents at `sigmas[0]` in register `x`, to be brought to the last sigma. */
export interface SamplerRun {
  denoiser: Denoiser;
  /** Falling; mostly ends in 0. */
  sigmas: readonly number[];
  options: KDiffusionOptions;
  /** What DPM-Solver fast and adaptive go through, and about how often fast may run the network. */
  range: { from: number; to: number; evaluations: number };
  /** Asked once before each evaluation of the network: whether it runs without the unconditional pass. */
  skipsUnconditional(sigma: number): boolean;
  masked: Masked;
}

/**
 * Whose way of keeping the image outside a mask, if there is one. ComfyUI shows the network the image at the
 * latents' noise level there (samplers.py, `KSamplerX0Inpaint`); A1111 leaves the latents unchanged, or with the
 * samplers over timesteps shows it the clean image (sd_samplers_cfg_denoiser.py, `mask_before_denoising`). Both put
 * the image back into the denoised one.
 */
export type Masked = 'a1111' | 'comfyui' | null;

/** Part of a program that yields instructions and returns a value. */
export type Subroutine<T> = Generator<Instruction, T, number | undefined>;

/** The steps of a schedule: from each sigma to the next. `number` counts from 1. */
export function* stepsOf(sigmas: readonly number[]): Generator<{ number: number; from: number; to: number }> {
  let from: number | undefined;
  let number = 0;
  for (const to of sigmas) {
    if (from !== undefined) yield { number: ++number, from, to };
    from = to;
  }
}

/** Runs the network on the latents in `from` at `sigma` and leaves the denoised image in `to`. */
export function* denoise(run: SamplerRun, from: Register, to: Register, sigma: number): SamplerProgram {
  const { timestep, input, skip, output } = run.denoiser.at(sigma);
  const skipUnconditional = run.skipsUnconditional(sigma);
  const seen = run.masked === 'comfyui' ? 'seen' : from;
  if (run.masked === 'comfyui') {
    yield combine('kept', [run.denoiser.flow ? 1 - sigma : 1, INIT_LATENTS], [sigma, UNIT_NOISE]);
    yield { op: 'blend', to: seen, inside: from, outside: 'kept' };
  }
  yield {
    op: 'denoise',
    from: seen,
    to,
    timestep,
    inputScale: input,
    ...(skipUnconditional && { skipUnconditional }),
  };
  yield combine(to, [skip, seen], [output, to]);
  if (run.masked) yield { op: 'blend', to, inside: to, outside: INIT_LATENTS, level: sigma };
}

/** `to = Σ weight · register` */
export function combine(to: Register, ...terms: Term[]): Instruction {
  return { op: 'combine', to, terms };
}

/** Ends a step: `register` holds the denoised image. */
export function show(register: Register, step: number): Instruction {
  return { op: 'show', register, step };
}

/**
 * Where the deterministic part of an ancestral step ends; {@link renoise} goes from there up to `to`.
 * Source: k-diffusion sampling.py, `get_ancestral_step`; for flow matching ComfyUI's `sample_euler_ancestral_RF`.
 */
export function ancestralTarget(run: SamplerRun, from: number, to: number, eta: number): number {
  if (run.denoiser.flow) return to * (1 + (to / from - 1) * eta);
  const up = Math.min(to, eta * Math.sqrt((to * to * (from * from - to * to)) / (from * from)));
  return Math.sqrt(Math.max(to * to - up * up, 0));
}

/** Raises the noise of `register` from sigma `down` to sigma `to` with the next draw of the noise stream. */
export function* renoise(run: SamplerRun, register: Register, down: number, to: number): SamplerProgram {
  const keep = run.denoiser.flow ? (1 - to) / (1 - down) : 1;
  const up = Math.sqrt(Math.max(to * to - (down * keep) ** 2, 0));
  yield { op: 'noise', to: 'draw' };
  yield combine(register, [keep, register], [up * (run.options.sNoise ?? 1), 'draw']);
}

/** Adds `weight` times the normalised Brownian increment between two sigmas to `register`. */
export function* addBrownianNoise(
  register: Register,
  weight: number,
  sigmaFrom: number,
  sigmaTo: number,
): SamplerProgram {
  yield { op: 'brownian', to: 'draw', sigmaFrom, sigmaTo };
  yield combine(register, [1, register], [weight, 'draw']);
}

/**
 * Raises the noise of `x` before a step and returns the sigma reached.
 * Source: Karras et al. 2022, algorithm 2. Noise is drawn on every step, wanted or not, as k-diffusion does.
 */
export function* churn(run: SamplerRun, sigma: number): Subroutine<number> {
  const { sChurn = 0, sTmin = 0, sTmax = 0, sNoise = 1 } = run.options;
  if (sChurn <= 0) return sigma;
  yield { op: 'noise', to: 'draw' };
  if (sigma < sTmin || (sTmax > 0 && sigma > sTmax)) return sigma;
  const raised = sigma * (1 + Math.min(sChurn / (run.sigmas.length - 1), Math.SQRT2 - 1));
  yield combine('x', [1, 'x'], [sNoise * Math.sqrt(raised * raised - sigma * sigma), 'draw']);
  return raised;
}

/** The derivative (x − denoised) / sigma of the probability-flow ODE. */
export function derivative(to: Register, x: Register, denoised: Register, sigma: number): Instruction {
  return combine(to, [1 / sigma, x], [-1 / sigma, denoised]);
}

/** Follows the derivative (x − denoised) / from of the probability-flow ODE straight to `to`. */
export function eulerStep(
  to: Register,
  x: Register,
  denoised: Register,
  from: number,
  target: number,
): Instruction {
  const ratio = target / from;
  return combine(to, [ratio, x], [1 - ratio, denoised]);
}
