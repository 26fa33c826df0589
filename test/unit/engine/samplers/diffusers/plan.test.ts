import { describe, expect, test } from 'vitest';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import {
  diffusersSchedulers,
  isDiffusersSchedulerName,
  planDiffusers,
  type DiffusersSchedulerName,
} from '#engine/samplers/diffusers/index.ts';
import type { DiffusersStart } from '#engine/samplers/diffusers/scheduler.ts';
import { execute } from '#engine/samplers/execute.ts';

/** The scheduler configuration of Stable Diffusion 1.5. */
const STABLE_DIFFUSION = {
  _class_name: 'PNDMScheduler',
  _diffusers_version: '0.6.0',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  clip_sample: false,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
};
const FLOW = { _class_name: 'FlowMatchEulerDiscreteScheduler', num_train_timesteps: 1000, shift: 3 };
const NOISE: DiffusersStart = { from: 'noise' };

const names = Object.keys(diffusersSchedulers).filter(isDiffusersSchedulerName);
const forDiffusion = names.filter((name) => !name.startsWith('FlowMatch'));

const plan = (
  scheduler: DiffusersSchedulerName,
  {
    config = {},
    model = STABLE_DIFFUSION,
    steps = 12,
    start = NOISE,
  }: {
    config?: Record<string, string | number | boolean>;
    model?: Record<string, unknown>;
    steps?: number;
    start?: DiffusersStart;
  } = {},
) => planDiffusers({ family: 'diffusers', scheduler, config }, model, steps, { start });

/** The ideal network of a model whose only image is all 0.5: predicts exactly the noise in the latents. */
const TARGET = 0.5;

async function generate(scheduler: DiffusersSchedulerName, start: DiffusersStart): Promise<Float32Array> {
  const alphas = cumulativeAlphasOfStableDiffusion();
  const noise = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 12.9898) * 1.5);
  let draw = 0;
  const run = plan(scheduler, { start, steps: 20 });
  const machine = new CpuMachine({
    images: 1,
    noise,
    init: new Float32Array(64).fill(-1),
    nextNoise: () => Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 78.233 + ++draw) * 1.4),
    denoise: (input, { timestep }) => {
      const low = Math.min(Math.max(Math.floor(timestep), 0), 998);
      const ratio = (t: number) => Math.log((1 - (alphas[t] ?? 1)) / (alphas[t] ?? 1)) / 2;
      const sigma = Math.exp(ratio(low) + (ratio(low + 1) - ratio(low)) * (timestep - low));
      const alpha = 1 / Math.sqrt(1 + sigma * sigma);
      return { guided: input.map((value) => (value - alpha * TARGET) / (alpha * sigma)) };
    },
  });
  await execute(run.program(), machine);
  return machine.read('x');
}

function cumulativeAlphasOfStableDiffusion(): number[] {
  let product = 1;
  return Array.from({ length: 1000 }, (_, i) => {
    const root = Math.sqrt(0.00085) + ((Math.sqrt(0.012) - Math.sqrt(0.00085)) * i) / 999;
    return (product *= 1 - root * root);
  });
}

describe('with a network that knows the image', () => {
  test.each(forDiffusion.filter((name) => name !== 'DDIMInverseScheduler'))(
    '%s generates it',
    async (name) => {
      const latents = await generate(name, NOISE);
      expect(Math.max(...latents.map((value) => Math.abs(value - TARGET)))).toBeLessThan(0.1);
    },
  );

  test.each(forDiffusion.filter((name) => name !== 'DDIMInverseScheduler'))(
    '%s generates it over another image',
    async (name) => {
      const latents = await generate(name, { from: 'init', strength: 0.75 });
      expect(Math.max(...latents.map((value) => Math.abs(value - TARGET)))).toBeLessThan(0.1);
    },
  );
});

describe.each(names)('%s', (name) => {
  const model = name.startsWith('FlowMatch') ? FLOW : STABLE_DIFFUSION;

  test('has a plan for every number of steps, the same each time', () => {
    for (const steps of [2, 5, 30]) {
      const first = plan(name, { model, steps });
      const again = plan(name, { model, steps });
      expect([...first.program()]).toEqual([...again.program()]);
      expect([...first.program()]).toEqual([...first.program()]);
      expect(first.timesteps.length).toBeGreaterThanOrEqual(steps);
      expect(first.sigmas.every(Number.isFinite)).toBe(true);
    }
  });

  test('refuses settings it does not have', () => {
    expect(() => plan(name, { model, config: { no_such_setting: 1 } })).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});

test('evaluations are counted from the program', () => {
  expect(plan('EulerDiscreteScheduler').timesteps).toHaveLength(12);
  expect(plan('HeunDiscreteScheduler').timesteps).toHaveLength(23);
  expect(plan('PNDMScheduler').timesteps).toHaveLength(13);
  expect(plan('ScoreSdeVeScheduler').timesteps).toHaveLength(24);
  expect(plan('EulerDiscreteScheduler', { start: { from: 'init', strength: 0.5 } }).timesteps).toHaveLength(
    6,
  );
});

test('knows which schedulers add noise of their own', () => {
  expect(plan('DDIMScheduler').deterministic).toBe(true);
  expect(plan('EulerAncestralDiscreteScheduler').deterministic).toBe(false);
  expect(
    plan('DPMSolverMultistepScheduler', { config: { algorithm_type: 'sde-dpmsolver++' } }).deterministic,
  ).toBe(false);
});

test.each<[string, DiffusersSchedulerName, Parameters<typeof plan>[1], string]>([
  [
    'a sample prediction',
    'EulerAncestralDiscreteScheduler',
    { config: { prediction_type: 'sample' } },
    'unsupported_feature',
  ],
  [
    'noise prediction from zero SNR',
    'DDIMScheduler',
    { config: { rescale_betas_zero_snr: true, timestep_spacing: 'trailing' } },
    'unsupported_feature',
  ],
  [
    'two curves of sigmas',
    'EulerDiscreteScheduler',
    { config: { use_karras_sigmas: true, use_beta_sigmas: true } },
    'invalid_request',
  ],
  [
    'dpmsolver down to zero noise',
    'DPMSolverMultistepScheduler',
    { config: { algorithm_type: 'dpmsolver' } },
    'invalid_request',
  ],
  ['more steps than were trained', 'DDIMScheduler', { steps: 1001 }, 'invalid_request'],
  ['no steps', 'DDIMScheduler', { steps: 0 }, 'invalid_request'],
  [
    'a strength that leaves no step',
    'DDIMScheduler',
    { start: { from: 'init', strength: 0.01 } },
    'invalid_request',
  ],
  ['a flow-matching model', 'DDIMScheduler', { model: FLOW }, 'unsupported_feature'],
  ['a diffusion model', 'FlowMatchEulerDiscreteScheduler', {}, 'unsupported_feature'],
  [
    'an unknown key of the model',
    'DDIMScheduler',
    { model: { ...STABLE_DIFFUSION, warp: 9 } },
    'unsupported_feature',
  ],
])('refuses %s', (_, name, settings, code) => {
  expect(() => plan(name, settings)).toThrow(expect.objectContaining({ code }));
});
