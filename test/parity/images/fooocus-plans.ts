import {
  applyOverrides,
  performanceOfSteps,
  performanceSteps,
  type PerformanceName,
} from '#imaging/fooocus/performance.ts';
import { findMaskRegion, growRegion } from '#imaging/fooocus/region.ts';
import { shapeCeil, sizeOfShapeCeil } from '#imaging/fooocus/sizes.ts';
import { planUpscale, planVary, readUovMethod } from '#imaging/fooocus/upscale-or-vary.ts';
import type { Region } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';
import {
  checkRefuses,
  checkValues,
  kindRunner,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

type Pair = [width: number, height: number];

const pairOf = ({ width, height }: Size): Pair => [width, height];

interface SizesCase extends ImageCase, Size {
  shape_ceil: number;
  resized: Record<string, Pair | 'skipped'>;
}

function sizesChecks(reference: SizesCase): Check[] {
  const resized = Object.entries(reference.resized)
    .filter(([, size]) => size !== 'skipped')
    .map(([ceil, size]) => checkValues(ceil, pairOf(sizeOfShapeCeil(reference, Number(ceil))), size));
  return [checkValues('shape ceil', shapeCeil(reference), reference.shape_ceil), ...resized];
}

interface RegionCase extends ImageCase {
  error: string | null;
  /** Top, bottom, left, right. */
  initial_abcd: number[] | null;
  solved: [share: number, abcd: number[]][] | null;
}

const abcdOf = ({ x1, y1, x2, y2 }: Region) => [y1, y2, x1, x2];

interface UovCase extends ImageCase, Size {
  method: string;
  upscale_value?: number;
  overwrite_strength?: number;
  direct_return?: boolean;
  resized: Pair;
  denoising_strength: number | null;
  final: Pair | null;
  tiled?: boolean | null;
}

function uovChecks(reference: UovCase): Check[] {
  const method = readUovMethod(reference.method, reference.upscale_value);
  const { resized, denoising_strength, final, tiled, overwrite_strength = -1 } = reference;
  if (method.kind === 'disabled') throw new Error(`${reference.method} is not read.`);
  if (method.kind === 'vary') {
    const plan = planVary(reference, method.strength, overwrite_strength);
    return [
      checkValues('resized', pairOf(plan.resized), resized),
      checkValues('strength', plan.denoisingStrength, denoising_strength),
      checkValues('final', pairOf(plan.final), final),
    ];
  }
  const plan = planUpscale(reference, method.factor, {
    fast: method.fast,
    overwriteStrength: overwrite_strength,
  });
  return [
    checkValues('resized', pairOf(plan.resized), resized),
    checkValues('direct', plan.diffusion === null, reference.direct_return),
    checkValues('strength', plan.diffusion?.denoisingStrength ?? null, denoising_strength),
    checkValues('final', plan.diffusion && pairOf(plan.diffusion.final), final),
    checkValues('tiled', plan.diffusion?.tiled ?? null, tiled),
  ];
}

interface PerformanceCase extends ImageCase {
  label?: PerformanceName;
  steps?: number;
  steps_uov?: number;
  by_steps?: string;
  rows?: (Size & {
    steps: number;
    refiner_switch: number;
    overwrite_step: number;
    overwrite_switch: number;
    overwrite_width: number;
    overwrite_height: number;
    result: Size & { steps: number; switch: number };
  })[];
}

function* performanceChecks({ label, steps, steps_uov, by_steps, rows }: PerformanceCase): Generator<Check> {
  if (label !== undefined && steps !== undefined) {
    yield checkValues('steps', performanceSteps[label], { steps, stepsUov: steps_uov });
    const named = performanceOfSteps(steps)?.toUpperCase().replace(/[ -]/, '_');
    yield checkValues('by steps', named, by_steps);
  }
  for (const row of rows ?? []) {
    const numbers = applyOverrides(
      { steps: row.steps, refinerSwitch: row.refiner_switch, width: row.width, height: row.height },
      {
        steps: row.overwrite_step,
        switch: row.overwrite_switch,
        width: row.overwrite_width,
        height: row.overwrite_height,
      },
    );
    yield checkValues('overrides', numbers, row.result);
  }
}

/** Kinds that are numbers only. */
export const fooocusPlanKinds: Readonly<Record<string, KindRunner>> = {
  'fooocus-sizes': kindRunner<SizesCase>('fooocus-sizes', sizesChecks),
  'fooocus-region': kindRunner<RegionCase>('fooocus-region', ({ error, initial_abcd, solved }, files) => {
    const mask = files.input('mask');
    if (error !== null) return [checkRefuses('region', () => findMaskRegion(mask))];
    const region = findMaskRegion(mask);
    const grown = (solved ?? []).map(([share, abcd]) =>
      checkValues(`share ${share}`, abcdOf(growRegion(region, mask, share)), abcd),
    );
    return [checkValues('initial', abcdOf(region), initial_abcd), ...grown];
  }),
  'fooocus-uov': kindRunner<UovCase>('fooocus-uov', uovChecks),
  'fooocus-api-uov': kindRunner<UovCase>('fooocus-api-uov', uovChecks),
  'fooocus-performance': kindRunner<PerformanceCase>('fooocus-performance', (reference) => [
    ...performanceChecks(reference),
  ]),
};
