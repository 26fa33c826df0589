import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { diffusersSchedulers, isDiffusersSchedulerName } from '#engine/samplers/diffusers/index.ts';
import type { SchedulerConfig } from '#engine/samplers/diffusers/scheduler.ts';
import { execute } from '#engine/samplers/execute.ts';
import { RESULT } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { relativeError } from '../support/relative-error.ts';
import type { ParityCase } from './case.ts';
import { referenceNetwork } from './analytic-network.ts';

interface SchedulerCase {
  case: string;
  scheduler: string;
  steps: number;
  config: SchedulerConfig;
  final: number[];
}

interface SchedulerFile {
  /** Unit noise that every run starts from. */
  x0: number[];
  cases: SchedulerCase[];
}

/** Seed of the torch CPU generator that the reference runs drew their noise from. */
const NOISE_SEED = 1234n;

const TOLERANCE = 1e-3;

/**
 * Runs the trajectories in `schedulers*.json` of a folder and compares their final latents. Some runs feed the sine in
 * the analytic network values near 10^6, where rounding decides the result: what is off by more than the tolerance is
 * held to twice what one unit in the last place of the network's output moves it by, and says so.
 */
export async function* cases(folder: string): AsyncGenerator<ParityCase> {
  for (const file of (await readdir(folder)).filter((name) => /^schedulers.*\.json$/.test(name))) {
    const { x0, cases } = JSON.parse(await readFile(join(folder, file), 'utf8')) as SchedulerFile;
    for (const reference of cases) {
      const name = `schedulers/${reference.scheduler} ${reference.case}`;
      try {
        const noise = Float32Array.from(x0);
        const final = await runScheduler(reference, noise);
        const error = relativeError(final, Float32Array.from(reference.final));
        if (error <= TOLERANCE) {
          yield { name, error, tolerance: TOLERANCE, supported: true };
          continue;
        }
        const nudged = await runScheduler(reference, noise, 1 + 2 ** -23);
        const shift = relativeError(nudged, final);
        yield {
          name,
          error,
          tolerance: Math.max(TOLERANCE, 2 * shift),
          supported: true,
          note: `not within ${TOLERANCE.toExponential(0)}; one unit in the last place of the network's output moves the result by ${shift.toExponential(1)}`,
        };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        yield { name, error: Infinity, tolerance: TOLERANCE, supported: false, note: error.message };
      }
    }
  }
}

async function runScheduler(
  { scheduler, config, steps }: SchedulerCase,
  noise: Float32Array,
  nudge = 1,
): Promise<Float32Array> {
  if (!isDiffusersSchedulerName(scheduler))
    throw new AppError('unsupported_feature', `There is no ${scheduler}.`);
  const plan = diffusersSchedulers[scheduler].plan(config, steps, { start: { from: 'noise' } });
  const generator = createTorchCpuGenerator(NOISE_SEED);
  const network = scheduler === 'KarrasVeScheduler' ? pixelNetwork : referenceNetwork;
  const machine = new CpuMachine({
    images: 1,
    noise,
    nextNoise: () => generator.randn(noise.length),
    denoise: (input, { timestep }) => ({ guided: input.map((value) => nudge * network(value, timestep)) }),
  });
  await execute(plan.program(), machine);
  return machine.read(RESULT);
}

const { fround } = Math;

/** The same for diffusers' Karras VE pipeline, whose images go from −1 to 1 and whose network's from 0 to 1. */
function pixelNetwork(x: number, sigma: number): number {
  const half = fround(sigma / 2);
  return fround(half * referenceNetwork(fround(fround(x + 1) / 2), half));
}
