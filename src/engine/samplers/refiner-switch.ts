import type { Refiner } from '#protocol/job.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import type { SamplingPlan } from './sampling-plan.ts';

const { fround } = Math;

/**
 * The call of the network from which on a pass's refiner runs, counted from 0; null where it never does. By timesteps all
 * references agree: A1111's default is diffusers' `denoising_end`. By steps A1111 compares the share of the calls, and
 * Fooocus rounds to a step (modules/async_worker.py, `refiner_switch`).
 */
export function refinerCall(
  plan: Pick<SamplingPlan, 'timesteps' | 'trainingSigmas' | 'expectedCalls' | 'firstCalls' | 'steps'>,
  { switchAt, counts }: Pick<Refiner, 'switchAt' | 'counts'>,
  sampler: SamplerChoice,
): number | null {
  const { timesteps, trainingSigmas: sigmas, expectedCalls: expected, firstCalls, steps } = plan;
  if (counts === 'timestep') return refinerSwitch(timesteps, switchAt, { by: 'noise', sigmas });
  const isA1111 = sampler.family === 'k-diffusion' && sampler.options.reference !== 'comfyui';
  if (isA1111) return refinerSwitch(timesteps, switchAt, { by: 'steps', expected });
  const step = roundHalfToEven(steps * switchAt);
  return step < steps ? (firstCalls[step] ?? null) : null;
}

function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Where a run changes from its model to the refiner. */
type RefinerSwitch =
  | {
      /** By noise, the default: the fraction of the training timesteps that is done. */
      by: 'noise';
      /** Sigmas of the training timesteps, rising; null for samplers that go by whole timesteps (DDIM, PLMS). */
      sigmas: ArrayLike<number> | null;
    }
  | {
      /** By the calls of the network: `refiner_switch_by_sample_steps`. */
      by: 'steps';
      /** Calls the run is expected to make: its steps, twice for second-order samplers. */
      expected: number;
    };

/**
 * The call of the network from which on the refiner runs, counted from 0; null where it never does.
 * Source: A1111 modules/sd_samplers_common.py, `apply_refiner`.
 * @param timesteps the timestep the network gets at each call, fractions included
 * @param switchAt 0…1; at 1 the refiner never runs
 */
function refinerSwitch(timesteps: readonly number[], switchAt: number, rule: RefinerSwitch): number | null {
  const call = timesteps.findIndex((timestep, i) => {
    if (rule.by === 'steps') return i / rule.expected >= switchAt;
    const whole = rule.sigmas ? nearestTimestep(timestep, rule.sigmas) : Math.trunc(timestep);
    return fround((999 - whole) / 1000) >= fround(switchAt);
  });
  return call < 0 ? null : call;
}

/** The training timestep whose sigma is nearest to that of a fractional one, between two of which log sigma is linear. */
function nearestTimestep(timestep: number, sigmas: ArrayLike<number>): number {
  const below = Math.min(Math.max(Math.floor(timestep), 0), sigmas.length - 1);
  const above = Math.min(below + 1, sigmas.length - 1);
  const [low, high] = [sigmas[below] ?? NaN, sigmas[above] ?? NaN];
  const sigma = low ** (1 - (timestep - below)) * high ** (timestep - below);
  return sigma - low <= high - sigma ? below : above;
}
