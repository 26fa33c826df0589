/**
 * A sampler is a program: a generator that yields these instructions, which an executor carries out on
 * latent-shaped registers. A sampler file holds only the mathematics of its paper; where the numbers live
 * (typed arrays, GPU buffers) is the executor's business.
 */
export type Instruction =
  | DenoiseInstruction
  | { op: 'combine'; to: Register; terms: readonly Term[] }
  | BlendInstruction
  | { op: 'noise'; to: Register }
  | { op: 'brownian'; to: Register; sigmaFrom: number; sigmaTo: number }
  | { op: 'clamp'; register: Register; limit: number }
  | { op: 'threshold'; register: Register; ratio: number; maximum: number }
  | NormInstruction
  | { op: 'show'; register: Register; step: number };

/**
 * Runs the model, with guidance, on `from * inputScale`. The guided raw output lands in `to`.
 */
export interface DenoiseInstruction {
  op: 'denoise';
  from: Register;
  to: Register;
  /** The timestep given to the network, 0 … 999 for Stable Diffusion; not always whole. */
  timestep: number;
  inputScale: number;
  /** Where the output without guidance is wanted as well (CFG++). */
  unconditionalTo?: Register;
  /** Run the conditional pass only (`s_min_uncond`, `skip_early_cond`). */
  skipUnconditional?: boolean;
}

/**
 * `to = mask · inside + (1 − mask) · outside`, with the run's mask: 1 where it generates again, 0 where the image
 * stays unchanged. Only in programs planned for a mask.
 */
export interface BlendInstruction {
  op: 'blend';
  to: Register;
  inside: Register;
  outside: Register;
  /** The noise level, or the timestep, by which A1111's soft inpainting blends. */
  level?: number;
}

/**
 * Answered with the square root of the mean, over one image, of the squares of `register`. With a tolerance
 * each value is first divided by `max(absolute, relative · max(|value of each of these registers|))`: the
 * error measure of adaptive step sizes.
 */
export interface NormInstruction {
  op: 'norm';
  register: Register;
  tolerance?: { absolute: number; relative: number; of: readonly Register[] };
}

/**
 * A register's name. `noise` holds the unit noise a run starts from and `init` the clean latents of
 * image-to-image; programs read both and write neither. The result is left in `x`.
 */
export type Register = string;

/** weight · register. `to = Σ terms`; `to` may be among the terms. No terms: zeros. */
export type Term = readonly [weight: number, register: Register];

/** `norm` is answered with a number, every other instruction with undefined. */
export type SamplerProgram = Generator<Instruction, void, number | undefined>;

/**
 * The final `combine` into `x` precedes the last `show`. `show` ends a step: its register is the current
 * estimate of the clean latents; `step` counts from 1. Progress, previews and cancellation hang on it.
 */
export const RESULT: Register = 'x';

/** Reserved names. */
export const UNIT_NOISE: Register = 'noise';
export const INIT_LATENTS: Register = 'init';
