import { hyperbolicTangent, sine } from './torch-float32.ts';

const { fround } = Math;

/** The function the reference runs had for a network: 0.7 tanh(x) cos(t / 1000) + 0.3 sin(2 x) + 0.1 t / 1000. */
export function referenceNetwork(x: number, timestep: number): number {
  const scaled = fround(fround(fround(0.7) * hyperbolicTangent(x)) * fround(Math.cos(timestep / 1000)));
  const wave = fround(fround(0.3) * sine(fround(2 * x)));
  return fround(fround(scaled + wave) + fround((0.1 * timestep) / 1000));
}
