import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { combine, show } from './run.ts';
import { alphaOf, evaluate, levelSteps, noiseTerms } from './timestep-run.ts';
import type { Level, TimestepRun } from './timestep-run.ts';

/** Adams-Bashforth weights of the newest and the earlier noises, by how many are known. */
const WEIGHTS = [
  [],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;

/** How many noises are remembered, the newest included. */
const MEMORY = 4;

/** PLMS. Source: Liu et al. 2022 (arXiv 2202.09778); A1111 sd_samplers_timesteps_impl.py, `plms`. */
export function* plms(run: TimestepRun): SamplerProgram {
  for (const { number, from, to } of levelSteps(run.levels)) {
    yield* evaluate(run, 'x', from);
    yield combine(epsilon(number), ...noiseTerms(run, 'x', 'output', from));
    if (number === 1) {
      // Pseudo improved Euler: the mean with the noise at the other end.
      yield combine('ahead', ...transfer(from, to, epsilon(number)));
      yield* evaluate(run, 'ahead', to);
      yield combine('output', ...noiseTerms(run, 'ahead', 'output', to));
      yield combine('epsilon', [1 / 2, epsilon(number)], [1 / 2, 'output']);
    } else {
      const weights = WEIGHTS[Math.min(number, MEMORY) - 1] ?? [];
      yield combine('epsilon', ...weights.map((weight, age): Term => [weight, epsilon(number - age)]));
    }
    const alpha = alphaOf(from);
    yield combine(
      'denoised',
      [1 / Math.sqrt(alpha), 'x'],
      [-Math.sqrt(1 - alpha) / Math.sqrt(alpha), 'epsilon'],
    );
    yield combine('x', ...transfer(from, to, 'epsilon'));
    yield show('denoised', number);
  }
}

function epsilon(step: number): string {
  return `epsilon ${step % MEMORY}`;
}

/** `x` moved to the level `to` along a noise. */
function transfer(from: Level, to: Level, noise: string): [Term, Term] {
  const scale = Math.sqrt(alphaOf(to) / alphaOf(from));
  return [
    [scale, 'x'],
    [Math.sqrt(1 - alphaOf(to)) - scale * Math.sqrt(1 - alphaOf(from)), noise],
  ];
}
