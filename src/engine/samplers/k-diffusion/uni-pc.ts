import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { combine, show } from './run.ts';
import { alphaOf, denoisedTerms, evaluate } from './timestep-run.ts';
import type { Level, TimestepRun } from './timestep-run.ts';

/** Settings of UniPC that are not the run's. */
interface UniPcSettings {
  variant: 'bh1' | 'bh2' | 'vary_coeff';
  order: number;
  lowerOrderFinal: boolean;
}

/** UniPC as A1111 runs it, with the options of the request. */
export function uniPc(run: TimestepRun): SamplerProgram {
  const { uniPcVariant = 'bh1', uniPcOrder = 3, uniPcLowerOrderFinal = true } = run.options;
  return solve(run, { variant: uniPcVariant, order: uniPcOrder, lowerOrderFinal: uniPcLowerOrderFinal });
}

/** UniPC in ComfyUI's form: over sigmas, of order 3 where there are steps enough. */
export function* uniPcSigmas(run: TimestepRun, variant: UniPcSettings['variant'] = 'bh1'): SamplerProgram {
  yield* solve(run, { variant, order: Math.min(3, run.levels.length - 2), lowerOrderFinal: true });
  const last = run.levels.at(-1);
  if (last) yield combine('x', [1 / Math.sqrt(alphaOf(last)), 'x']);
}

/** The same with B(h) = e^h − 1. */
export function uniPcSigmasBh2(run: TimestepRun): SamplerProgram {
  return uniPcSigmas(run, 'bh2');
}

/**
 * UniPC: a predictor over the known denoised images and a corrector with the one just found, which is the
 * next step's evaluation as well. Multistep, data prediction.
 * Source: Zhao et al. 2023 (arXiv 2302.04867), algorithms 5 to 8; A1111 uni_pc.py, class UniPC.
 */
function* solve(run: TimestepRun, settings: UniPcSettings): SamplerProgram {
  const { levels } = run;
  const steps = levels.length - 1;
  const order = Math.min(Math.max(settings.order, 1), steps);
  const image = (step: number) => `denoised ${step % (order + 1)}`;
  const [start] = levels;
  if (start) yield* denoiseTo(run, 'x', start, image(0));
  for (let step = 1; step <= steps; step++) {
    const known = levels.slice(Math.max(step - order, 0), step).reverse();
    const lowered = step >= order && settings.lowerOrderFinal ? steps + 1 - step : order;
    const stepOrder = Math.min(known.length, lowered);
    const target = levels[step];
    const [newest] = known;
    if (!target || !newest) break;
    const weights = stepWeights(newest, target, known.slice(1, stepOrder), settings.variant);
    const base: Term[] = [
      [weights.x, 'x'],
      [weights.newest, image(step - 1)],
    ];
    const differences = (by: readonly number[]) =>
      by.flatMap((weight, i): Term[] => [
        [weight, image(step - 2 - i)],
        [-weight, image(step - 1)],
      ]);
    yield combine('next', ...base, ...differences(weights.predictor));
    if (step < steps) {
      yield* denoiseTo(run, 'next', target, image(step));
      yield combine(
        'next',
        ...base,
        ...differences(weights.corrector),
        [weights.found, image(step)],
        [-weights.found, image(step - 1)],
      );
    }
    yield combine('x', [1, 'next']);
    yield show(step < steps ? image(step) : 'x', step);
  }
}

function* denoiseTo(run: TimestepRun, from: string, level: Level, to: string): SamplerProgram {
  yield* evaluate(run, from, level);
  yield combine(to, ...denoisedTerms(run, from, 'output', level));
}

/** Weights of a step's sum: of `x`, of the newest image, and of the differences of the others from it. */
interface StepWeights {
  x: number;
  newest: number;
  predictor: readonly number[];
  corrector: readonly number[];
  /** Weight of the image found at the target, in the corrector. */
  found: number;
}

function stepWeights(
  newest: Level,
  target: Level,
  older: readonly Level[],
  variant: UniPcSettings['variant'],
): StepWeights {
  const h = Math.log(newest.sigma / target.sigma);
  const alpha = Math.sqrt(alphaOf(target));
  const spread = target.sigma * alpha;
  const spreadNewest = newest.sigma * Math.sqrt(alphaOf(newest));
  // Positions of the older images, in steps from the newest one; the target is at 1.
  const places = older.map((level) => Math.log(newest.sigma / level.sigma) / h);
  const solved = variant === 'vary_coeff' ? varyingWeights(places, h) : fixedWeights(places, h, variant);
  const divide = (weights: readonly number[]) =>
    weights.map((weight, i) => (-alpha * weight) / (places[i] ?? 1));
  return {
    x: spread / spreadNewest,
    newest: -alpha * Math.expm1(-h),
    predictor: divide(solved.predictor),
    corrector: divide(solved.corrector.slice(0, -1)),
    found: -alpha * (solved.corrector.at(-1) ?? 0),
  };
}

interface Solved {
  predictor: readonly number[];
  corrector: readonly number[];
}

/** UniPC with B(h) = h (bh1) or e^h − 1 (bh2): the weights solve R·ρ = b. */
function fixedWeights(places: readonly number[], h: number, variant: 'bh1' | 'bh2'): Solved {
  const hh = -h;
  const scale = variant === 'bh1' ? hh : Math.expm1(hh);
  const all = [...places, 1];
  const b: number[] = [];
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  for (let i = 1; i <= all.length; i++) {
    b.push((phi * factorial) / scale);
    factorial *= i + 1;
    phi = phi / hh - 1 / factorial;
  }
  const rows = all.map((_, power) => all.map((place) => place ** power));
  const scaled = (weights: readonly number[]) => weights.map((weight) => scale * weight);
  // One unknown has the published short cut 1/2.
  const predictor =
    places.length === 1
      ? [0.5]
      : solveLinear(
          rows.slice(0, -1).map((row) => row.slice(0, -1)),
          b.slice(0, -1),
        );
  return {
    predictor: places.length === 0 ? [] : scaled(predictor),
    corrector: scaled(all.length === 1 ? [0.5] : solveLinear(rows, b)),
  };
}

/**
 * UniPC with varying coefficients: the inverse C⁻¹ of the matrix place^k / (k+1)! takes differences to derivatives.
 * The corrector takes its last derivative from C⁻¹'s last row but one, as the authors' own program does.
 */
function varyingWeights(places: readonly number[], h: number): Solved {
  const hh = -h;
  const all = [...places, 1];
  const phis: number[] = [];
  let phi = Math.expm1(hh);
  let factorial = 1;
  for (let k = 1; k <= all.length + 1; k++) {
    phis.push(phi);
    phi = phi / hh - 1 / factorial;
    factorial *= k + 1;
  }
  const sum = (derivatives: readonly (readonly number[])[], column: number) =>
    derivatives.reduce((total, row, k) => total + (phis[k + 1] ?? 0) * (row[column] ?? 0), 0);
  const predicting = invert(places);
  const correcting = invert(all);
  const lastRow = correcting[Math.max(all.length - 2, 0)] ?? [];
  return {
    predictor: places.map((_, i) => sum(predicting, i)),
    corrector: [
      ...places.map((_, i) => sum(correcting.slice(0, -1), i)),
      (phis[all.length] ?? 0) * (lastRow.at(-1) ?? 0),
    ],
  };
}

/** Rows of the inverse of the matrix with entries place^k / (k+1)!. */
function invert(places: readonly number[]): number[][] {
  const matrix = places.map((place) => places.map((_, k) => columnEntry(place, k)));
  const columns = places.map((_, i) =>
    solveLinear(
      matrix,
      places.map((__, k) => (k === i ? 1 : 0)),
    ),
  );
  return places.map((_, row) => columns.map((column) => column[row] ?? 0));
}

function columnEntry(place: number, k: number): number {
  let entry = 1;
  for (let i = 1; i <= k; i++) entry *= place / (i + 1);
  return entry;
}

/** Solves a small dense system by elimination with pivoting. */
function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    const rest = rows.slice(column).sort((a, b) => Math.abs(b[column] ?? 0) - Math.abs(a[column] ?? 0));
    rows.splice(column, size - column, ...rest);
    const pivotRow = rows[column] ?? [];
    for (const [i, row] of rows.entries()) {
      if (i === column) continue;
      const factor = (row[column] ?? 0) / (pivotRow[column] ?? 1);
      for (let k = column; k <= size; k++) row[k] = (row[k] ?? 0) - factor * (pivotRow[k] ?? 0);
    }
  }
  return rows.map((row, i) => (row[size] ?? 0) / (row[i] ?? 1));
}
