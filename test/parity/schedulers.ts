import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { diffusersSchedulers, isDiffusersSchedulerName } from '#engine/samplers/diffusers/index.ts';
import type { SchedulerConfig } from '#engine/samplers/diffusers/scheduler.ts';
import { execute } from '#engine/samplers/execute.ts';
import { RESULT } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import type { ParityCase } from './case.ts';

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

/** Runs the trajectories in `schedulers*.json` of a folder and compares their final latents. */
export async function* cases(folder: string): AsyncGenerator<ParityCase> {
  for (const file of (await readdir(folder)).filter((name) => /^schedulers.*\.json$/.test(name))) {
    const { x0, cases } = JSON.parse(await readFile(join(folder, file), 'utf8')) as SchedulerFile;
    for (const reference of cases) {
      const name = `schedulers/${reference.scheduler} ${reference.case}`;
      try {
        const final = await runScheduler(reference, Float32Array.from(x0));
        yield { name, error: relativeError(final, reference.final), tolerance: TOLERANCE, supported: true };
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
): Promise<Float32Array> {
  if (!isDiffusersSchedulerName(scheduler))
    throw new AppError('unsupported_feature', `There is no ${scheduler}.`);
  const plan = diffusersSchedulers[scheduler].plan(config, steps, { start: { from: 'noise' } });
  const generator = createTorchCpuGenerator(NOISE_SEED);
  const network = scheduler === 'KarrasVeScheduler' ? pixelNetwork : referenceNetwork;
  const machine = new CpuMachine({
    pictures: 1,
    noise,
    nextNoise: () => generator.randn(noise.length),
    denoise: (input, { timestep }) => ({ guided: input.map((value) => network(value, timestep)) }),
  });
  await execute(plan.program(), machine);
  return machine.read(RESULT);
}

/** The function the reference runs had for a network. */
function referenceNetwork(x: number, timestep: number): number {
  return 0.7 * Math.tanh(x) * Math.cos(timestep / 1000) + 0.3 * Math.sin(2 * x) + (0.1 * timestep) / 1000;
}

/** The same for diffusers' Karras VE pipeline, whose pictures go from −1 to 1 and whose network's from 0 to 1. */
function pixelNetwork(x: number, sigma: number): number {
  return (sigma / 2) * referenceNetwork(Math.fround((x + 1) / 2), sigma / 2);
}

/** Largest difference, relative to the largest reference value. */
function relativeError(actual: Float32Array, expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN)))) / largest;
}
