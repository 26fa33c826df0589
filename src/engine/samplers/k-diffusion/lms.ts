import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { combine, denoise, derivative, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

const ORDER = 4;

/** Linear multistep (Adams-Bashforth on uneven steps) of order 4. Source: k-diffusion sampling.py, `sample_lms`. */
export function* lms(run: SamplerRun): SamplerProgram {
  const { sigmas } = run;
  for (const { number, from, to } of stepsOf(sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    yield derivative(slope(number), 'x', 'denoised', from);
    const known = sigmas.slice(Math.max(number - ORDER, 0), number);
    const terms = known.map((at, i): Term => {
      const others = known.filter((_, k) => k !== i);
      return [integrateLagrange(at, others, from, to), slope(number - known.length + 1 + i)];
    });
    yield combine('x', [1, 'x'], ...terms);
    yield show('denoised', number);
  }
}

function slope(step: number): string {
  return `d${step % ORDER}`;
}

/** ∫ of the cubic (or lower) polynomial that is 1 `at` and 0 at `others`: two Gauss points are exact. */
function integrateLagrange(at: number, others: readonly number[], from: number, to: number): number {
  const value = (sigma: number) =>
    others.reduce((product, zero) => (product * (sigma - zero)) / (at - zero), 1);
  const middle = (from + to) / 2;
  const half = (to - from) / 2;
  const offset = half / Math.sqrt(3);
  return half * (value(middle - offset) + value(middle + offset));
}
