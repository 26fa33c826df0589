import type { Call } from '#api/route.ts';
import { fixedSeed } from '#api/dialects/a1111/map.ts';

/** The random seeds of a script, in the order in which it draws them. */
export interface SeedDraws {
  /** The seed, or for −1 the next draw. */
  fix(seed: bigint): bigint;
  /** Those so far, to be kept with the jobs of the script. */
  readonly kept: readonly string[];
}

const KEY = 'draws';

/** Draws as the reply of a job has them. */
export function keptWith(draws: SeedDraws): Readonly<Record<string, unknown>> {
  return { [KEY]: [...draws.kept] };
}

/**
 * The draws of a script. Where its request was sent before and began to run, which the browser does again when it has stopped the
 * service worker, they are the same: runs that are left belong to those that have ended.
 */
export async function openSeedDraws({ begun }: Pick<Call<unknown, unknown>, 'begun'>): Promise<SeedDraws> {
  const earlier = (await begun())?.reply?.[KEY];
  const left = Array.isArray(earlier) ? earlier.filter((draw) => typeof draw === 'string') : [];
  const kept: string[] = [];
  return {
    kept,
    fix(seed) {
      if (seed !== -1n) return fixedSeed(seed);
      const draw = left.shift() ?? fixedSeed(-1n).toString();
      kept.push(draw);
      return BigInt(draw);
    },
  };
}
