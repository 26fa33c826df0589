import { cumulativeAlphas, makeBetas } from '#engine/samplers/noise-schedule.ts';
import type { SamplerProgram } from '#engine/samplers/program.ts';

/** A network whose denoiser is known in closed form, and an executor in float64: nothing hides behind rounding. */

export const NUMBERS = 8;

const betas = makeBetas({ schedule: 'scaled_linear', start: 0.00085, end: 0.012, steps: 1000 });
export const ALPHAS: readonly number[] = Array.from(cumulativeAlphas(betas));

/** Training noise levels of Stable Diffusion, rising. */
export function sigmaTable(alphas: readonly number[] = ALPHAS): number[] {
  return alphas.map((alpha) => Math.fround(Math.sqrt(Math.fround(Math.fround(1 - alpha) / alpha))));
}

/** Best guess of the image: values are drawn from two Gaussians of deviation 1/2 around ±1. */
function posteriorMean(x: number, sigma: number): number {
  const variance = 0.25 + sigma * sigma;
  return (0.25 * x + sigma * sigma * Math.tanh(x / variance)) / variance;
}

/** The same without a prompt: one Gaussian around 0. */
export function unconditionalMean(x: number, sigma: number): number {
  return (0.25 * x) / (0.25 + sigma * sigma);
}

export type Predicts = 'epsilon' | 'v_prediction' | 'sample';
export type Network = (input: readonly number[], timestep: number) => number[];

/** The network a diffusion model with this posterior would be. */
export function diffusionNetwork(
  predicts: Predicts,
  mean = posteriorMean,
  sigmas: readonly number[] = sigmaTable(),
): Network {
  return (input, timestep) => {
    const low = Math.min(Math.max(Math.floor(timestep), 0), sigmas.length - 2);
    const weight = Math.min(Math.max(timestep - low, 0), 1);
    const sigma = Math.exp(
      (1 - weight) * Math.log(sigmas[low] ?? NaN) + weight * Math.log(sigmas[low + 1] ?? NaN),
    );
    const alpha = 1 / (1 + sigma * sigma);
    return input.map((value) => {
      const image = mean(value / Math.sqrt(alpha), sigma);
      const noise = (value - Math.sqrt(alpha) * image) / Math.sqrt(1 - alpha);
      if (predicts === 'epsilon') return noise;
      if (predicts === 'sample') return image;
      return Math.sqrt(alpha) * noise - Math.sqrt(1 - alpha) * image;
    });
  };
}

/** A flow-matching network of the same posterior: it predicts noise − image. */
export const flowNetwork: Network = (input, timestep) => {
  const sigma = timestep / 1000;
  return input.map((value) => {
    if (sigma === 1) return value;
    const image = posteriorMean(value / (1 - sigma), sigma / (1 - sigma));
    return (value - image) / sigma;
  });
};

/** Normal enough, and the same at every run: the nth draw. */
export function drawNumber(n: number): number[] {
  return Array.from({ length: NUMBERS }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * (n + 1)) * 1.4);
}

/** A stand-in for a Brownian increment: smooth in both sigmas. */
export function increment(from: number, to: number): number[] {
  return Array.from({ length: NUMBERS }, (_, i) => 1.3 * Math.sin(3.1 * (i + 1) + from - 2 * to));
}

export interface Run {
  result: number[];
  timesteps: number[];
  evaluations: number;
  skipped: boolean[];
  shown: number[][];
}

/** Carries a program out in float64. */
export function runProgram(
  program: SamplerProgram,
  network: Network,
  options: { unconditional?: Network; init?: number[] } = {},
): Run {
  const registers = new Map<string, number[]>([['noise', drawNumber(-1)]]);
  if (options.init) registers.set('init', options.init);
  const read = (name: string) => {
    const values = registers.get(name);
    if (!values) throw new Error(`Register ${name} is empty.`);
    return values;
  };
  const run: Run = { result: [], timesteps: [], evaluations: 0, skipped: [], shown: [] };
  let draws = 0;
  let answer: number | undefined;
  for (let next = program.next(); !next.done; next = program.next(answer)) {
    const instruction = next.value;
    answer = undefined;
    switch (instruction.op) {
      case 'denoise': {
        const input = read(instruction.from).map((value) => value * instruction.inputScale);
        const output = network(input, instruction.timestep);
        registers.set(instruction.to, output);
        if (instruction.unconditionalTo !== undefined) {
          const unconditional = options.unconditional ?? network;
          registers.set(instruction.unconditionalTo, unconditional(input, instruction.timestep));
        }
        run.timesteps.push(instruction.timestep);
        run.skipped.push(instruction.skipUnconditional === true);
        run.evaluations++;
        break;
      }
      case 'combine': {
        const sources = instruction.terms.map(([weight, name]) => ({ weight, values: read(name) }));
        registers.set(
          instruction.to,
          Array.from({ length: NUMBERS }, (_, i) =>
            sources.reduce((sum, { weight, values }) => sum + weight * (values[i] ?? NaN), 0),
          ),
        );
        break;
      }
      case 'noise':
        registers.set(instruction.to, drawNumber(draws++));
        break;
      case 'brownian':
        registers.set(instruction.to, increment(instruction.sigmaFrom, instruction.sigmaTo));
        break;
      case 'norm': {
        const { tolerance } = instruction;
        const bounds = tolerance?.of.map(read) ?? [];
        const squares = read(instruction.register).map((value, i) => {
          const largest = Math.max(...bounds.map((bound) => Math.abs(bound[i] ?? NaN)));
          const scale = tolerance ? Math.max(tolerance.absolute, tolerance.relative * largest) : 1;
          return (value / scale) ** 2;
        });
        answer = Math.sqrt(squares.reduce((sum, square) => sum + square) / squares.length);
        break;
      }
      case 'show':
        run.shown.push([...read(instruction.register)]);
        break;
      default:
        throw new Error(`${instruction.op} is not for k-diffusion.`);
    }
  }
  run.result = read('x');
  return run;
}

/** Largest difference of two lists, as a share of the second's largest value. */
export function relativeError(actual: readonly number[], expected: readonly number[]): number {
  const differences = expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN)));
  return Math.max(...differences) / Math.max(...expected.map(Math.abs));
}

/** The scheduler configuration of Stable Diffusion 1.5. */
export const STABLE_DIFFUSION = {
  _class_name: 'PNDMScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  clip_sample: false,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
};

/** That of Stable Diffusion 3. */
export const FLOW = { _class_name: 'FlowMatchEulerDiscreteScheduler', num_train_timesteps: 1000, shift: 3 };
