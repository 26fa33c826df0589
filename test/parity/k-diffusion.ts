import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBrownianPath } from '#engine/random/brownian.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { RESULT } from '#engine/samplers/program.ts';
import { toAppError } from '#protocol/error.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import { relativeError } from '../support/relative-error.ts';
import type { ParityCase } from './case.ts';
import { referenceNetwork } from './analytic-network.ts';

interface KDiffusionCase {
  case: string;
  sampler: string;
  schedule: string;
  steps: number;
  prediction_type: string;
  options: KDiffusionOptions;
  final: number[];
}

interface KDiffusionFile {
  seed: number;
  /** Channels, height and width. */
  size: number[];
  cases: KDiffusionCase[];
}

const TOLERANCE = 1e-3;

/** Runs the trajectories of k-diffusion's own samplers in `k-diffusion.json` and compares their final latents. */
export async function* cases(folder: string): AsyncGenerator<ParityCase> {
  const file = join(folder, 'k-diffusion.json');
  if (!existsSync(file)) return;
  const { seed, size, cases } = JSON.parse(readFileSync(file, 'utf8')) as KDiffusionFile;
  const length = size.reduce((product, side) => product * side, 1);
  for (const reference of cases) {
    const name = `k-diffusion/${reference.sampler} ${reference.case}`;
    try {
      const final = await runSampler(reference, BigInt(seed), length);
      const error = relativeError(final, Float32Array.from(reference.final));
      yield { name, error, tolerance: TOLERANCE, supported: true };
    } catch (thrown) {
      yield {
        name,
        error: Infinity,
        tolerance: TOLERANCE,
        supported: true,
        note: toAppError(thrown).message,
      };
    }
  }
}

async function runSampler(
  { sampler, schedule, steps, options, prediction_type }: KDiffusionCase,
  seed: bigint,
  length: number,
): Promise<Float32Array> {
  const plan = planSampling(
    { family: 'k-diffusion', sampler, schedule, options },
    { schedulerConfig: { prediction_type } },
    steps,
    { from: 'noise' },
  );
  const generator = createTorchCpuGenerator(seed);
  const machine = new CpuMachine({
    images: 1,
    noise: generator.randn(length),
    nextNoise: () => generator.randn(length),
    denoise: (input, { timestep }) => ({ guided: input.map((value) => referenceNetwork(value, timestep)) }),
    ...(plan.brownianRange && {
      brownian: createBrownianPath(seed, {
        range: plan.brownianRange,
        size: length,
        generator: createTorchCpuGenerator,
      }),
    }),
  });
  await execute(plan.program(), machine);
  return machine.read(RESULT);
}
