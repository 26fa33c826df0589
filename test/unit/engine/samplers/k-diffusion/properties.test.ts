import { describe, expect, it } from 'vitest';
import { createBrownianPath } from '#engine/random/brownian.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import type { KDiffusionDefinition } from '#engine/samplers/k-diffusion/index.ts';
import { sigmaSchedules } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import type { NoiseModel } from '#engine/samplers/noise-model.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import {
  diffusionNetwork,
  drawNumber,
  flowNetwork,
  NUMBERS,
  relativeError,
  runProgram,
  sigmaTable,
  unconditionalMean,
} from './model.ts';

const names = Object.keys(kDiffusionSamplers);
const definitions: [string, KDiffusionDefinition][] = Object.entries(kDiffusionSamplers);
const schedules = ['automatic', ...Object.keys(sigmaSchedules)];
const epsilonModel: NoiseModel = { schedulerConfig: { prediction_type: 'epsilon' } };

function plan(
  sampler: string,
  schedule: string,
  steps: number,
  options: KDiffusionOptions = {},
  model = epsilonModel,
): SamplingPlan {
  return planSampling({ family: 'k-diffusion', sampler, schedule, options }, model, steps);
}

it('tells the network the nearest whole timestep where that is asked for', () => {
  const exact = plan('dpmpp_2m', 'karras', 12);
  const whole = plan('dpmpp_2m', 'karras', 12, { quantize: true });
  expect(whole.sigmas).toEqual(exact.sigmas);
  expect(exact.timesteps.every(Number.isInteger)).toBe(false);
  expect(whole.timesteps).toEqual(exact.timesteps.map(Math.round));
});

it("passes DDIM's share of fresh noise on to diffusers", () => {
  const ddim = { family: 'diffusers', scheduler: 'DDIMScheduler', config: {} } as const;
  expect(planSampling(ddim, epsilonModel, 5).deterministic).toBe(true);
  expect(planSampling({ ...ddim, eta: 1 }, epsilonModel, 5).deterministic).toBe(false);
});

describe.each(names)('%s', (sampler) => {
  it('does on every schedule what its plan says', () => {
    for (const schedule of schedules) {
      for (const reference of ['a1111', 'comfyui'] as const) {
        const edm = schedule === 'edm_playground_v2.5';
        const needsTable = ['ddim', 'ddim_cfgpp', 'plms', 'unipc', 'tcd'].includes(sampler);
        if (edm && needsTable && !(sampler === 'ddim' && reference === 'comfyui')) continue;
        const planned = plan(sampler, schedule, 12, { reference });
        const run = runProgram(planned.program(), diffusionNetwork('epsilon'));
        expect(run.result.every(Number.isFinite)).toBe(true);
        expect(planned.sigmas.every(Number.isFinite)).toBe(true);
        if (planned.adaptive) continue;
        expect(run.evaluations).toBe(planned.evaluations);
        expect(run.timesteps).toEqual(planned.timesteps);
        expect(run.shown).toHaveLength(planned.steps);
        expect(planned.sigmas).toHaveLength(planned.steps + 1);
      }
    }
  });

  it('gives the same latents twice from one plan', () => {
    const planned = plan(sampler, 'automatic', 8);
    const [first, second] = [0, 1].map(
      () => runProgram(planned.program(), diffusionNetwork('epsilon')).result,
    );
    expect(first).toEqual(second);
  });

  it('lands near one of the two images the model knows', () => {
    const options: KDiffusionOptions = sampler === 'ddim_cfgpp' ? { eta: 0 } : {};
    const { result } = runProgram(
      plan(sampler, 'automatic', 30, options).program(),
      diffusionNetwork('epsilon'),
    );
    for (const value of result) expect(Math.abs(Math.abs(value) - 1)).toBeLessThan(1.8);
  });

  it('runs single steps, and image-to-image from next to nothing to all the way', () => {
    // These leave their lowest level out, and UniPC needs as many steps as its order.
    const fewest = { ddim: 2, ddim_cfgpp: 2, plms: 2, unipc: 3 }[sampler] ?? 1;
    const run = runProgram(plan(sampler, 'automatic', fewest).program(), diffusionNetwork('epsilon'));
    expect(run.evaluations).toBeGreaterThan(0);
    const init = Array.from({ length: NUMBERS }, () => 1);
    for (const strength of [0, 0.05, 0.5, 1]) {
      for (const exactSteps of [false, true]) {
        for (const reference of ['a1111', 'comfyui'] as const) {
          const start = { from: 'init', strength, exactSteps } as const;
          const choice = {
            family: 'k-diffusion',
            sampler,
            schedule: 'automatic',
            options: { reference },
          } as const;
          const barely = fewest > 1 && reference === 'a1111' && !exactSteps && strength < 0.5;
          if (sampler === 'unipc' && barely) {
            expect(() => planSampling(choice, epsilonModel, 10, start)).toThrow('at least 3 steps');
            continue;
          }
          const planned = planSampling(choice, epsilonModel, 10, start);
          const run = runProgram(planned.program(), diffusionNetwork('epsilon'), { init });
          expect(run.result.every(Number.isFinite)).toBe(true);
          const untouched = reference === 'a1111' && exactSteps && strength === 0;
          if (untouched) expect(run.result).toEqual(init);
          // DPM adaptive goes nowhere where the schedule's only sigma is its lowest.
          const runs = !untouched && !barely && sampler !== 'dpm_adaptive';
          if (runs) expect(run.evaluations).toBeGreaterThan(0);
        }
      }
    }
  });

  it('runs zero-terminal-SNR models that predict v', () => {
    const model: NoiseModel = {
      schedulerConfig: { prediction_type: 'v_prediction', rescale_betas_zero_snr: true },
    };
    const planned = plan(sampler, 'automatic', 20, {}, model);
    expect(Math.max(...planned.sigmas)).toBeGreaterThan(sampler.includes('uni') ? 100 : 10);
    // Rescaled as Lin et al. do it: √ᾱ shifted and stretched so that it ends at 0.
    const roots = sigmaTable().map((sigma) => 1 / Math.sqrt(1 + sigma ** 2));
    const [start, end] = [roots[0] ?? NaN, roots.at(-1) ?? NaN];
    const alphas = roots.map((root) => (((root - end) * start) / (start - end)) ** 2);
    alphas[999] = 4.8973451890853435e-8;
    const sigmas = alphas.map((alpha) => Math.sqrt((1 - alpha) / alpha));
    const network = diffusionNetwork('v_prediction', undefined, sigmas);
    const { result } = runProgram(planned.program(), network);
    for (const value of result) expect(Math.abs(Math.abs(value) - 1)).toBeLessThan(2);
  });
});

describe('image-to-image', () => {
  it('runs exactly the steps asked for after the cut when told to, as hires fix does', () => {
    for (const [strength, total] of [
      [0.5, 24],
      [0.7, 17],
    ] as const) {
      const choice = { family: 'k-diffusion', sampler: 'euler', schedule: 'karras', options: {} } as const;
      const cut = planSampling(choice, epsilonModel, 12, { from: 'init', strength, exactSteps: true });
      expect(cut.evaluations).toBe(12);
      expect(cut.sigmas).toEqual(plan('euler', 'karras', total).sigmas.slice(total - 12));
    }
  });
});

describe('guidance that leaves the unconditional pass out', () => {
  it('skips early evaluations by their share, counting two for each step of second-order samplers', () => {
    const skipped = (sampler: string) =>
      runProgram(plan(sampler, 'uniform', 10, { skipEarlyCond: 0.25 }).program(), diffusionNetwork('epsilon'))
        .skipped;
    expect(skipped('euler')).toEqual([true, true, true, ...Array<boolean>(7).fill(false)]);
    expect(skipped('heun').slice(0, 8)).toEqual([true, true, true, true, true, true, false, false]);
  });

  it('skips every other evaluation below s_min_uncond, or all of them', () => {
    const planned = plan('euler', 'uniform', 10, { sMinUncond: 2 });
    const { skipped } = runProgram(planned.program(), diffusionNetwork('epsilon'));
    for (const [i, skip] of skipped.entries())
      expect(skip).toBe(i % 2 === 1 && (planned.sigmas[i] ?? NaN) < 2);
    const all = plan('euler', 'uniform', 10, { sMinUncond: 2, sMinUncondAll: true });
    const run = runProgram(all.program(), diffusionNetwork('epsilon'));
    for (const [i, skip] of run.skipped.entries()) expect(skip).toBe((planned.sigmas[i] ?? NaN) < 2);
  });

  it('never asks for an unconditional output it has skipped', () => {
    for (const instruction of plan('ddim_cfgpp', 'automatic', 8, { skipEarlyCond: 0.4 }).program()) {
      if (instruction.op !== 'denoise') continue;
      expect(instruction.skipUnconditional === true).toBe(instruction.unconditionalTo === undefined);
    }
  });
});

/** Slope of log error over log step count, from the exact solution of a model with one Gaussian. */
function convergenceOrder(
  sampler: string,
  options: KDiffusionOptions = {},
  counts: [number, number] = [80, 160],
): number {
  const linear = diffusionNetwork('epsilon', unconditionalMean);
  const errors = counts.map((steps) => {
    // A schedule that ends above 0, so that every step is an ordinary one.
    const planned = plan(sampler, 'kl_optimal', steps, { sigmaMin: 0.3, sigmaMax: 6, ...options });
    const [from, to] = [planned.sigmas[0] ?? NaN, planned.sigmas.at(-1) ?? NaN];
    // The exact solution: x scales with √(1/4 + sigma²).
    const growth = from * Math.sqrt((0.25 + to * to) / (0.25 + from * from));
    const exact = drawNumber(-1).map((value) => value * growth);
    return relativeError(runProgram(planned.program(), linear).result, exact);
  });
  const [coarse, fine] = counts;
  return Math.log((errors[0] ?? NaN) / (errors[1] ?? NaN)) / Math.log(fine / coarse);
}

describe('order of convergence on a linear model', () => {
  it.each([
    ['euler', 1, {}],
    ['euler_ancestral', 1, { eta: 0 }],
    ['heun', 2, {}],
    ['dpm_2', 2, {}],
    ['dpm_2_ancestral', 2, { eta: 0 }],
    ['dpmpp_2m', 2, {}],
    ['dpmpp_2s_ancestral', 2, { eta: 0 }],
    ['dpmpp_sde', 2, { eta: 0 }],
    ['dpmpp_2m_sde', 2, { eta: 0 }],
    ['dpmpp_2m_sde_heun', 2, { eta: 0 }],
  ] as const)('%s: %i', (sampler, order, options) => {
    const measured = convergenceOrder(sampler, options);
    expect(measured).toBeGreaterThan(order - 0.25);
    expect(measured).toBeLessThan(order + 0.75);
  });

  it('dpmpp_3m_sde: 3, until the error of its first two steps is all that is left', () => {
    expect(convergenceOrder('dpmpp_3m_sde', { eta: 0 }, [20, 40])).toBeGreaterThan(2.75);
  });

  it('lms: 2 in all, from its first step of order 1', () => {
    expect(convergenceOrder('lms')).toBeGreaterThan(1.8);
  });
});

describe('flow matching', () => {
  const flow: NoiseModel = { schedulerConfig: { _class_name: 'FlowMatchEulerDiscreteScheduler', shift: 3 } };

  it.each(definitions.filter(([, definition]) => definition.over === 'sigmas' && !definition.diffusionOnly))(
    '%s brings noise to an image',
    (sampler) => {
      if (sampler === 'lcm') return;
      const planned = plan(sampler, 'simple', 30, {}, flow);
      expect(planned.timesteps[0]).toBeCloseTo(1000, 6);
      const { result } = runProgram(planned.program(), flowNetwork);
      for (const value of result) expect(Math.abs(Math.abs(value) - 1)).toBeLessThan(1.8);
    },
  );

  it('Euler follows the straight paths of the published sampler', () => {
    const planned = plan('euler', 'simple', 10, {}, flow);
    const { result } = runProgram(planned.program(), flowNetwork);
    let x = drawNumber(-1);
    for (const [i, to] of planned.sigmas.slice(1).entries()) {
      const from = planned.sigmas[i] ?? NaN;
      const velocity = flowNetwork(x, from * 1000);
      x = x.map((value, k) => value + (to - from) * (velocity[k] ?? NaN));
    }
    expect(relativeError(result, x)).toBeLessThan(1e-9);
  });

  it('starts image-to-image on the line between image and noise', () => {
    const choice = { family: 'k-diffusion', sampler: 'euler', schedule: 'simple', options: {} } as const;
    const [start] = planSampling(choice, flow, 10, { from: 'init', strength: 0.5 }).program();
    const planned = planSampling(choice, flow, 10, { from: 'init', strength: 0.5 });
    const sigma = planned.sigmas[0] ?? NaN;
    expect(start).toEqual({
      op: 'combine',
      to: 'x',
      terms: [
        [1 - sigma, 'init'],
        [sigma, 'noise'],
      ],
    });
  });

  it.each(
    definitions.filter(([, definition]) => definition.over === 'timesteps' || definition.diffusionOnly),
  )('%s says that it cannot', (sampler) => {
    expect(() => plan(sampler, 'simple', 10, {}, flow)).toThrow(
      expect.objectContaining({ code: 'unsupported_feature' }) as Error,
    );
  });

  it('refuses churn', () => {
    expect(() => plan('euler', 'simple', 10, { sChurn: 4 }, flow)).toThrow(
      expect.objectContaining({ code: 'unsupported_feature' }) as Error,
    );
  });
});

describe('on the typed-array machine', () => {
  const network = diffusionNetwork('epsilon');
  const images = [3n, 4n];
  const draws = (seed: bigint, n: number) =>
    Float32Array.from({ length: NUMBERS }, (_, i) => Math.sin(Number(seed) * 7.7 + n * 3.3 + i * 12.9) * 1.4);

  async function run(planned: SamplingPlan, seeds: readonly bigint[]): Promise<Float32Array[]> {
    const join = (parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
    let drawn = 0;
    const range = planned.brownianRange ?? [0, 0];
    const paths = seeds.map((seed) =>
      createBrownianPath(seed, { range, size: NUMBERS, generator: createTorchCpuGenerator }),
    );
    const machine = new CpuMachine({
      images: seeds.length,
      noise: join(seeds.map((seed) => draws(seed, 0))),
      denoise(input, { timestep }) {
        const guided = Float32Array.from(network([...input], timestep));
        return { guided, unconditional: guided.slice() };
      },
      nextNoise() {
        drawn++;
        return join(seeds.map((seed) => draws(seed, drawn)));
      },
      brownian: (from, to) => join(paths.map((path) => path(from, to))),
    });
    await execute(planned.program(), machine);
    return seeds.map((_, i) => machine.read('x').slice(i * NUMBERS, (i + 1) * NUMBERS));
  }

  it.each(names)('%s gives each image of a batch what it gives it alone', async (sampler) => {
    const planned = plan(sampler, 'automatic', 8);
    if (planned.adaptive) return;
    const batch = await run(planned, images);
    for (const [i, seed] of images.entries()) expect(batch[i]).toEqual((await run(planned, [seed]))[0]);
  });

  it('the adaptive sampler asks to run images one at a time', () => {
    expect(names.filter((sampler) => plan(sampler, 'automatic', 8).adaptive)).toEqual(['dpm_adaptive']);
  });

  it.each(['dpmpp_sde', 'dpmpp_2m_sde', 'dpmpp_3m_sde'])(
    '%s refines one image with more steps',
    async (sampler) => {
      // A single path may be lucky with few steps: the mean over several counts.
      const seeds = [5n, 6n, 7n, 8n, 9n, 10n, 11n, 12n];
      const refine = (steps: number) => run(plan(sampler, 'karras', steps), seeds);
      const [coarse, fine, finest] = [await refine(30), await refine(120), await refine(480)];
      const error = (images: Float32Array[], others: Float32Array[]) =>
        images.reduce(
          (sum, image, i) => sum + relativeError([...image], [...(others[i] ?? [])]) / seeds.length,
          0,
        );
      expect(error(fine, finest)).toBeLessThan(0.15);
      expect(error(fine, finest)).toBeLessThan(error(coarse, finest));
      expect(error(fine, [...finest.slice(1), ...finest.slice(0, 1)])).toBeGreaterThan(0.3);
    },
  );
});
