import { roundHalfToEven } from '#imaging/round.ts';
import type { Size } from '#protocol/job.ts';

/** Steps of each performance mode, and those of upscaling or varying. Source: Fooocus modules/flags.py. */
export const performanceSteps = {
  Quality: { steps: 60, stepsUov: 36 },
  Speed: { steps: 30, stepsUov: 18 },
  'Extreme Speed': { steps: 8, stepsUov: 8 },
  Lightning: { steps: 4, stepsUov: 4 },
  'Hyper-SD': { steps: 4, stepsUov: 4 },
} as const;

export type PerformanceName = keyof typeof performanceSteps;

/**
 * The mode with a number of steps, as metadata that names none is read; the first of those with as many. Source:
 * Fooocus modules/flags.py, `Performance.by_steps`.
 */
export function performanceOfSteps(steps: number): PerformanceName | null {
  const names = Object.keys(performanceSteps) as PerformanceName[];
  return names.find((name) => performanceSteps[name].steps === steps) ?? null;
}

/** What a request sets instead of what follows from the mode and the image; −1 (or 0) sets nothing. */
export interface Overrides extends Size {
  steps: number;
  switch: number;
}

/** Steps, the step at which the refiner takes over, and size of a run. */
export interface RunNumbers extends Size {
  steps: number;
  switch: number;
}

/**
 * Applies a request's overrides. The refiner's step counts in the mode's steps even where another number of steps runs.
 * Source: Fooocus modules/async_worker.py, `apply_overrides`.
 * @param refinerSwitch share of the steps, 0…1
 */
export function applyOverrides(
  run: Size & { steps: number; refinerSwitch: number },
  overrides: Overrides,
): RunNumbers {
  const either = (override: number, own: number) => (override > 0 ? override : own);
  return {
    steps: either(overrides.steps, run.steps),
    switch: either(overrides.switch, roundHalfToEven(run.steps * run.refinerSwitch)),
    width: either(overrides.width, run.width),
    height: either(overrides.height, run.height),
  };
}
