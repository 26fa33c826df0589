const { fround } = Math;

/** Where a run changes from its model to the refiner. */
export type RefinerSwitch =
  | {
      /** By noise, the default: the share of the training timesteps that is left behind. */
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
 * @param timesteps what the network is told at each call, fractions included
 * @param switchAt 0…1; at 1 the refiner never runs
 */
export function refinerSwitch(
  timesteps: readonly number[],
  switchAt: number,
  rule: RefinerSwitch,
): number | null {
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
