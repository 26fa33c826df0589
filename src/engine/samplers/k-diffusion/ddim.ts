import type { SamplerProgram } from '#engine/samplers/program.ts';
import { combine, show } from './run.ts';
import { alphaOf, denoisedTerms, evaluate, levelSteps, noiseTerms, predict } from './timestep-run.ts';
import type { Level, TimestepRun } from './timestep-run.ts';

/** DDIM. Source: Song et al. 2020 (arXiv 2010.02502), equation 12; A1111 sd_samplers_timesteps_impl.py, `ddim`. */
export function* ddim(run: TimestepRun): SamplerProgram {
  for (const { number, from, to } of levelSteps(run.levels)) {
    yield* predict(run, 'x', from);
    yield* stepTo(run, from, to);
    yield show('denoised', number);
  }
}

/** A1111 divides the guidance scale by this, so that its usual range becomes 0 … 1. */
const GUIDANCE_DIVISOR = 12.5;

/**
 * DDIM whose way back to the noise follows the unconditional prediction.
 * Source: Chung et al. 2024 (arXiv 2406.08070), "CFG++"; A1111 sd_samplers_timesteps_impl.py, `ddim_cfgpp`.
 */
export function* ddimCfgPlusPlus(run: TimestepRun): SamplerProgram {
  for (const { number, from, to } of levelSteps(run.levels)) {
    for (const instruction of evaluate(run, 'x', from)) {
      if (instruction.op !== 'denoise' || instruction.skipUnconditional) yield instruction;
      else yield { ...instruction, unconditionalTo: 'unconditional' };
      if (instruction.op === 'denoise' && instruction.skipUnconditional)
        yield combine('unconditional', [1, 'output']);
    }
    yield combine('output', [1 / GUIDANCE_DIVISOR, 'output'], [1 - 1 / GUIDANCE_DIVISOR, 'unconditional']);
    yield combine('denoised', ...denoisedTerms(run, 'x', 'output', from));
    yield combine('epsilon', ...noiseTerms(run, 'x', 'unconditional', from));
    yield* stepTo(run, from, to);
    yield show('denoised', number);
  }
}

/** `x = √ᾱ · denoised + √(1 − ᾱ − s²) · epsilon + s · noise` at the level `to`. */
function* stepTo(run: TimestepRun, from: Level, to: Level): SamplerProgram {
  const { eta = 0 } = run.options;
  const alphaFrom = alphaOf(from);
  const alphaTo = alphaOf(to);
  const spread = eta * Math.sqrt(((1 - alphaTo) / (1 - alphaFrom)) * (1 - alphaFrom / alphaTo));
  const direction = Math.sqrt(Math.max(1 - alphaTo - spread * spread, 0));
  if (spread === 0) {
    yield combine('x', [Math.sqrt(alphaTo), 'denoised'], [direction, 'epsilon']);
  } else {
    yield { op: 'noise', to: 'draw' };
    yield combine('x', [Math.sqrt(alphaTo), 'denoised'], [direction, 'epsilon'], [spread, 'draw']);
  }
}
