import type { Register, Term } from '#engine/samplers/program.ts';

/** Weights of the last slopes, newest first, of the methods of orders 1 to 4 with equal steps. */
const WEIGHTS = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];

/**
 * The mean slope of the next step by the Adams–Bashforth method of the highest order there are slopes for.
 * Source: Hairer, Nørsett & Wanner, "Solving Ordinary Differential Equations I", section III.1.
 * @param slopes registers of up to four past slopes, newest first
 */
export function adamsBashforth(slopes: readonly Register[]): Term[] {
  const weights = WEIGHTS[slopes.length - 1] ?? [];
  return slopes.map((register, i) => [weights[i] ?? NaN, register]);
}
