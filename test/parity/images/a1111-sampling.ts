import { createNoiseStream } from '#engine/random/latent-noise.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import { RESULT } from '#engine/samplers/program.ts';
import { refinerCall } from '#engine/samplers/refiner-switch.ts';
import type { SamplingStart } from '#engine/samplers/sampling-plan.ts';
import { INFOTEXT_SAMPLERS, INFOTEXT_SCHEDULES } from '#codecs/infotext-samplers.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import { relativeError } from '../../support/relative-error.ts';
import { referenceNetwork } from '../analytic-network.ts';
import { checkValues, kindRunner, type Check, type ImageCase, type KindRunner } from './reference.ts';

interface SamplingCase extends ImageCase {
  sampler: string;
  scheduler: string;
  steps: number;
  /** Null for text to image. */
  denoising_strength: number | null;
  hr_steps: number | null;
  seed: number;
  batch_size: number;
  cfg_scale: number;
  eta: number | null;
  mask: 'half' | 'ramp' | null;
  s_churn?: number;
  s_tmin?: number;
  s_tmax?: number;
  s_noise?: number;
  s_min_uncond?: number;
  /** Settings of the webui, by name. */
  options: Record<string, unknown>;
  model_timesteps: number[];
  error: string | null;
  result: number[] | null;
}

/** One image's latents. */
const [CHANNELS, HEIGHT, WIDTH] = [4, 4, 6];
const LENGTH = CHANNELS * HEIGHT * WIDTH;
const INIT_SEED = 77n;

const { fround } = Math;

const TOLERANCE = 1e-3;
/** The step sizes of one and the rounded timesteps of the other turn on the last digits. */
const LOOSE: Readonly<Record<string, number>> = { 'DPM adaptive': 1e-2, LCM: 1e-2 };

/** The settings of the webui by name, with the engine's names for them. */
const SETTINGS = {
  always_discard_next_to_last_sigma: 'discardNextToLastSigma',
  use_old_karras_scheduler_sigmas: 'oldKarrasSigmas',
  sgm_noise_multiplier: 'sgmNoiseMultiplier',
  img2img_extra_noise: 'extraNoise',
  skip_early_cond: 'skipEarlyCond',
  s_min_uncond: 'sMinUncond',
  s_min_uncond_all: 'sMinUncondAll',
  enable_quantization: 'quantize',
  sigma_min: 'sigmaMin',
  sigma_max: 'sigmaMax',
  rho: 'rho',
  beta_dist_alpha: 'betaDistAlpha',
  beta_dist_beta: 'betaDistBeta',
  uni_pc_variant: 'uniPcVariant',
  uni_pc_skip_type: 'uniPcSkipType',
  uni_pc_order: 'uniPcOrder',
  uni_pc_lower_order_final: 'uniPcLowerOrderFinal',
} as const satisfies Record<string, keyof KDiffusionOptions>;

function optionsOf({ options, eta, ...reference }: SamplingCase): KDiffusionOptions {
  const settings = Object.entries(SETTINGS).flatMap(([setting, option]) =>
    options[setting] === undefined ? [] : [[option, options[setting]] as const],
  );
  return {
    ...Object.fromEntries(settings),
    ...(eta !== null && { eta }),
    ...(reference.s_min_uncond !== undefined && { sMinUncond: reference.s_min_uncond }),
    ...(reference.s_churn !== undefined && { sChurn: reference.s_churn }),
    ...(reference.s_tmin !== undefined && { sTmin: reference.s_tmin }),
    ...(reference.s_tmax !== undefined && { sTmax: reference.s_tmax }),
    ...(reference.s_noise !== undefined && { sNoise: reference.s_noise }),
  };
}

function startOf({
  denoising_strength: strength,
  hr_steps: hiresSteps,
  options,
  mask,
}: SamplingCase): SamplingStart {
  if (strength === null) return { from: 'noise' };
  const exactSteps = hiresSteps !== null || options['img2img_fix_steps'] === true;
  return { from: 'init', strength, exactSteps, ...(mask && { masked: true }) };
}

/** Of every latent, 1 where it is generated again. */
function maskOf(kind: 'half' | 'ramp'): Float32Array {
  return Float32Array.from({ length: LENGTH }, (_, i) => {
    const column = i % WIDTH;
    return kind === 'ramp' ? column / (WIDTH - 1) : column < 3 ? 1 : 0;
  });
}

async function sample(reference: SamplingCase, timesteps: number[]): Promise<Float32Array> {
  const { sampler: label, scheduler, batch_size: images, cfg_scale: scale, mask } = reference;
  const sampler = INFOTEXT_SAMPLERS.find((known) => known.label === label)?.id ?? label;
  const schedule =
    Object.entries(INFOTEXT_SCHEDULES).find(([, name]) => name === scheduler)?.[0] ?? scheduler;
  const plan = planSampling(
    { family: 'k-diffusion', sampler, schedule, options: optionsOf(reference) },
    { schedulerConfig: {} },
    reference.hr_steps ?? reference.steps,
    startOf(reference),
  );
  const noise = createNoiseStream(
    {
      source: reference.options['randn_source'] === 'NV' ? 'philox' : 'torch-cpu',
      subseedStrength: 0,
      etaNoiseSeedDelta: Number(reference.options['eta_noise_seed_delta'] ?? 0),
    },
    Array.from({ length: images }, (_, i) => ({ seed: BigInt(reference.seed + i), subseed: 0n })),
    [CHANNELS, HEIGHT, WIDTH],
    8,
  );
  const predict = (input: Float32Array, timestep: number, prompt: 0 | 1) =>
    input.map((value) => fround(referenceNetwork(value, timestep) + fround(0.2 * prompt)));
  const machine = new CpuMachine({
    images,
    noise: noise.first(),
    nextNoise: () => noise.next(),
    ...(reference.denoising_strength !== null && {
      init: repeat(createTorchCpuGenerator(INIT_SEED).randn(LENGTH), images),
    }),
    ...(mask && { mask: repeat(maskOf(mask), images) }),
    denoise(input, { timestep, skipUnconditional = false }) {
      timesteps.push(timestep);
      const conditional = predict(input, timestep, 1);
      if (skipUnconditional) return { guided: conditional, unconditional: conditional };
      const unconditional = predict(input, timestep, 0);
      const guided = unconditional.map((value, i) => value + scale * ((conditional[i] ?? 0) - value));
      return { guided, unconditional };
    },
  });
  await execute(plan.program(), machine);
  return machine.read(RESULT);
}

async function samplingChecks(reference: SamplingCase): Promise<Check[]> {
  const timesteps: number[] = [];
  const { result, model_timesteps: expected } = reference;
  if (reference.error?.startsWith('ZeroDivisionError')) {
    // The webui divides by no steps; here nothing is run, as with its other samplers.
    const untouched = repeat(createTorchCpuGenerator(INIT_SEED).randn(LENGTH), reference.batch_size);
    return [
      { label: 'init', error: relativeError(await sample(reference, timesteps), untouched), tolerance: 0 },
    ];
  }
  if (!result) {
    const outcome = await sample(reference, timesteps).then(
      () => 'runs',
      () => 'is refused',
    );
    return [checkValues(reference.id, outcome, 'is refused')];
  }
  const sampled = await sample(reference, timesteps);
  const tolerance = LOOSE[reference.sampler] ?? TOLERANCE;
  return [
    {
      label: `${timesteps.length} calls, not ${expected.length}`,
      error: Math.abs(timesteps.length - expected.length),
      tolerance: 0,
    },
    { label: 'result', error: relativeError(sampled, Float32Array.from(result)), tolerance },
  ];
}

interface RefinerCase extends ImageCase {
  steps: number;
  schedule: string;
  second_order: boolean;
  refiner_switch_by_sample_steps: boolean;
  calls: number;
  switch: [switchAt: number, call: number | null][];
}

function refinerChecks(reference: RefinerCase): Check[] {
  const { steps, schedule: label, second_order: secondOrder } = reference;
  const timestepsOnly = label === 'DDIM timesteps';
  const sampler = timestepsOnly ? 'ddim' : secondOrder ? 'heun' : 'euler';
  const schedule = Object.entries(INFOTEXT_SCHEDULES).find(([, name]) => name === label)?.[0] ?? 'automatic';
  const choice = { family: 'k-diffusion', sampler, schedule, options: {} } as const;
  const plan = planSampling(choice, { schedulerConfig: {} }, steps);
  const counts = reference.refiner_switch_by_sample_steps ? 'step' : 'timestep';
  return [
    checkValues('calls', plan.timesteps.length, reference.calls),
    ...reference.switch.map(([switchAt, call]) => {
      const found = refinerCall(plan, { switchAt, counts }, choice);
      return checkValues(`switch at ${switchAt}: call ${found ?? 'none'}`, found, call);
    }),
  ];
}

/** The samplers and schedules, with a network in closed form. */
export const a1111SamplingKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-sampling': kindRunner<SamplingCase>('a1111-sampling', samplingChecks),
  'a1111-refiner': kindRunner<RefinerCase>('a1111-refiner', refinerChecks),
};
