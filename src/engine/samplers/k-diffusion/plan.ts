import { examineProgram } from '#engine/samplers/examine.ts';
import type { NoiseModel, TrainingProcess } from '#engine/samplers/noise-model.ts';
import { readTrainingProcess } from '#engine/samplers/noise-model.ts';
import { INIT_LATENTS, UNIT_NOISE } from '#engine/samplers/program.ts';
import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { exponentialSigmas, linspace } from '#engine/samplers/noise-schedule.ts';
import type { SamplingPlan, SamplingStart } from '#engine/samplers/sampling-plan.ts';
import { setupImg2imgSteps } from '#imaging/a1111/img2img-steps.ts';
import { AppError } from '#protocol/error.ts';
import type { KDiffusionOptions, KDiffusionSampler } from '#protocol/sampler.ts';
import {
  createDiscreteDenoiser,
  createDistilledDenoiser,
  createEdmDenoiser,
  createFlowDenoiser,
} from './denoiser.ts';
import type { Denoiser } from './denoiser.ts';
import { isKDiffusionSamplerName, kDiffusionSamplers } from './index.ts';
import type { KDiffusionDefinition } from './index.ts';
import { combine } from './run.ts';
import type { Masked, SamplerRun } from './run.ts';
import { isSigmaScheduleName, sigmaSchedules } from './sigma-schedules.ts';
import type { SigmaSchedule, SigmaScheduleName } from './sigma-schedules.ts';
import { alphaOf, ddimLevels, levelOfSigma, levelOfTime, timeOfSigma } from './timestep-run.ts';
import type { Level } from './timestep-run.ts';

interface PlannedRun {
  /** @param watch receives the sigma of each evaluation */
  program(watch?: (sigma: number) => void): SamplerProgram;
  /** Sigmas at the steps' beginnings and at the end, given those at which each step first ran the network. */
  sigmas(visited: readonly number[]): number[];
  /** See {@link SamplingPlan.brownianRange}. */
  brownianRange: SamplingPlan['brownianRange'];
}

/** Everything about one run that its parts need. */
interface Setup {
  definition: KDiffusionDefinition;
  options: KDiffusionOptions;
  reference: 'a1111' | 'comfyui';
  denoiser: Denoiser;
  steps: number;
  start: SamplingStart;
}

/**
 * Works out a run of A1111's or Fooocus's samplers.
 * @param steps as the request has it, 1 or more
 * @throws AppError `invalid_request` for names and values that do not exist, `unsupported_feature` for
 * samplers that cannot run this kind of model
 */
export function planKDiffusion(
  choice: KDiffusionSampler,
  model: NoiseModel,
  steps: number,
  start: SamplingStart,
): SamplingPlan {
  const { options } = choice;
  checkOptions(options);
  const reference = options.reference ?? 'a1111';
  const definition = resolveSampler(choice.sampler, reference);
  const scheduleName = resolveSchedule(choice.schedule, definition);
  const schedule: SigmaSchedule = sigmaSchedules[scheduleName ?? 'uniform'];
  const process = readTrainingProcess(model, options.noiseSchedule === 'zero_terminal_snr');
  const distilled = choice.sampler === 'lcm' && reference === 'a1111' ? 'lcm' : schedule.patch;
  const wholeTimesteps = reference === 'comfyui' || options.quantize === true;
  const denoiser = createDenoiser(process, distilled, wholeTimesteps);
  refuseImpossible(choice, definition, denoiser);
  const setup = { definition, options, reference, denoiser, steps, start };
  const ownTimes = definition.over === 'timesteps' && definition.levels !== 'sigmas';
  const run = planRun(setup, schedule, model);
  const visited: number[] = [];
  const facts = examineProgram(recordSteps(run, visited));
  return {
    ...facts,
    program: () => run.program(),
    sigmas: run.sigmas(visited),
    brownianRange: facts.brownian ? run.brownianRange : null,
    evaluations: facts.timesteps.length,
    usesEnsd: definition.usesEnsd ?? false,
    trainingSigmas: definition.over === 'sigmas' ? denoiser.sigmas : null,
    expectedCalls: expectedCalls(setup),
    schedule: ownTimes ? null : scheduleName,
  };
}

function planRun(setup: Setup, schedule: SigmaSchedule, model: NoiseModel): PlannedRun {
  const { definition, reference, start } = setup;
  // With all of zero steps the webui's schedule has no level, and the image stays unchanged.
  if (reference === 'a1111' && start.from === 'init' && start.exactSteps && start.strength <= 0) {
    return UNTOUCHED;
  }
  return definition.over === 'timesteps'
    ? planTimesteps(setup, definition, schedule, model)
    : planSigmas(setup, definition, schedule, model);
}

/** A run that leaves the image's latents unchanged. */
const UNTOUCHED: PlannedRun = {
  *program() {
    yield combine('x', [1, INIT_LATENTS]);
  },
  sigmas: () => [],
  brownianRange: null,
};

/** The run's program, and the sigma of the first evaluation of each step as it goes. */
function* recordSteps(run: PlannedRun, visited: number[]): SamplerProgram {
  let step = 0;
  const program = run.program((sigma) => {
    if (visited.length === step) visited.push(sigma);
  });
  let answer: number | undefined;
  for (let next = program.next(); !next.done; next = program.next(answer)) {
    if (next.value.op === 'show') step = next.value.step;
    answer = yield next.value;
  }
}

function resolveSampler(name: string, reference: Setup['reference']): KDiffusionDefinition {
  if (!isKDiffusionSamplerName(name)) {
    throw new AppError(
      'invalid_request',
      `There is no sampler '${name}'. Known are ${Object.keys(kDiffusionSamplers).join(', ')}.`,
    );
  }
  return name === 'ddim' && reference === 'comfyui' ? kDiffusionSamplers.euler : kDiffusionSamplers[name];
}

function resolveSchedule(name: string, definition: KDiffusionDefinition): SigmaScheduleName | null {
  if (name === 'automatic') return definition.schedule ?? null;
  if (isSigmaScheduleName(name)) return name;
  throw new AppError(
    'invalid_request',
    `There is no sigma schedule '${name}'. Known are automatic, ${Object.keys(sigmaSchedules).join(', ')}.`,
  );
}

const AT_LEAST_0 = [
  'eta',
  'sChurn',
  'sTmin',
  'sTmax',
  'sNoise',
  'sMinUncond',
  'sigmaMin',
  'sigmaMax',
  'rho',
  'extraNoise',
] as const;

function checkOptions(options: KDiffusionOptions): void {
  const refuse = (key: keyof KDiffusionOptions, wanted: string) => {
    throw new AppError(
      'invalid_request',
      `The sampler option ${key} must be ${wanted}, not ${String(options[key])}.`,
    );
  };
  for (const key of AT_LEAST_0) {
    const value = options[key] ?? 0;
    if (!(value >= 0 && value < Infinity)) refuse(key, '0 or more');
  }
  for (const key of ['betaDistAlpha', 'betaDistBeta'] as const) {
    const value = options[key] ?? 1;
    if (!(value > 0 && value < Infinity)) refuse(key, 'above 0');
  }
  const { skipEarlyCond = 0, uniPcOrder = 1 } = options;
  if (!(skipEarlyCond >= 0 && skipEarlyCond <= 1)) refuse('skipEarlyCond', 'from 0 to 1');
  if (!(Number.isInteger(uniPcOrder) && uniPcOrder >= 1)) refuse('uniPcOrder', 'a whole number above 0');
}

/** Range of Playground v2.5, as Fooocus sets it. */
const EDM = { sigmaMin: 0.002, sigmaMax: 120, sigmaData: 0.5 };

function createDenoiser(
  process: TrainingProcess,
  patch: SigmaSchedule['patch'],
  wholeTimesteps: boolean,
): Denoiser {
  if (patch === 'edm') return createEdmDenoiser(EDM.sigmaMin, EDM.sigmaMax, EDM.sigmaData);
  if (process.kind === 'diffusion') {
    return patch
      ? createDistilledDenoiser(process, patch === 'lcm')
      : createDiscreteDenoiser(process, wholeTimesteps);
  }
  if (patch) {
    throw new AppError(
      'unsupported_feature',
      'LCM and TCD do not work with flow-matching models. Choose another sampler.',
    );
  }
  return createFlowDenoiser(process.timesteps, process.shift);
}

function refuseImpossible(
  choice: KDiffusionSampler,
  definition: KDiffusionDefinition,
  denoiser: Denoiser,
): void {
  const { options } = choice;
  if (denoiser.flow && (definition.over === 'timesteps' || definition.diffusionOnly)) {
    throw new AppError(
      'unsupported_feature',
      `The sampler '${choice.sampler}' does not work with flow-matching models. Use euler, heun or dpmpp_2m.`,
    );
  }
  if (denoiser.flow && (options.sChurn ?? 0) > 0) {
    throw new AppError(
      'unsupported_feature',
      'Sigma churn does not work with flow-matching models. Set s_churn to 0.',
    );
  }
  const needsTimesteps =
    choice.sampler === 'tcd' || (definition.over === 'timesteps' && definition.levels !== 'sigmas');
  if (needsTimesteps && denoiser.alphasCumprod.length === 0) {
    throw new AppError(
      'unsupported_feature',
      `The sampler '${choice.sampler}' needs a model trained on discrete timesteps.`,
    );
  }
}

function planSigmas(
  setup: Setup,
  definition: Extract<KDiffusionDefinition, { over: 'sigmas' }>,
  schedule: SigmaSchedule,
  model: NoiseModel,
): PlannedRun {
  const { options, denoiser } = setup;
  const { all, sigmas } = chooseSigmas(setup, schedule, model);
  const range = rangeOf(setup, sigmas);
  // A1111's path spans the whole schedule also where the run starts from an image, ComfyUI's only the run.
  const spanned = (setup.reference === 'a1111' ? all : sigmas).filter((sigma) => sigma > 0);
  return {
    brownianRange: [Math.min(...spanned), Math.max(...spanned)],
    sigmas: (visited) => [...visited, definition.overRange ? range.to : (sigmas.at(-1) ?? 0)],
    *program(watch) {
      yield combine('x', ...startTerms(setup, sigmas[0] ?? 0));
      const skipsUnconditional = createSkipRule(setup, watch);
      yield* definition.program({
        denoiser,
        sigmas,
        options,
        range,
        skipsUnconditional,
        masked: maskedBy(setup),
      });
    },
  };
}

/** The falling sigmas: of the whole schedule, and of the run, for image-to-image without the first part. */
function chooseSigmas(
  setup: Setup,
  schedule: SigmaSchedule,
  model: NoiseModel,
): { all: number[]; sigmas: number[] } {
  const { definition, options, reference, denoiser, steps, start } = setup;
  const { total, run } = countSteps(setup);
  const discards =
    options.discardNextToLastSigma === true || definition.discardNextToLastSigma?.includes(reference);
  const [lowest, highest] = options.oldKarrasSigmas
    ? [0.1, 10]
    : [denoiser.sigmas[0] ?? NaN, denoiser.sigmas[denoiser.sigmas.length - 1] ?? NaN];
  const sigmaMin = options.sigmaMin || lowest;
  const sigmaMax = options.sigmaMax || highest;
  if (sigmaMin >= sigmaMax) {
    throw new AppError(
      'invalid_request',
      `The lowest sigma, ${sigmaMin}, must be below the highest, ${sigmaMax}.`,
    );
  }
  const sigmas = schedule.sigmas(total + (discards ? 1 : 0), {
    denoiser,
    options,
    sigmaMin,
    sigmaMax,
    rho: options.rho || (schedule.defaultRho ?? 1),
    alignYourSteps: model.alignYourSteps ?? 'sd1',
  });
  if (discards) sigmas.splice(-2, 1);
  // A schedule may be longer than requested. A1111 cuts its start, ComfyUI keeps its end.
  if (start.from === 'noise' || total === run) return { all: sigmas, sigmas };
  return {
    all: sigmas,
    sigmas: reference === 'a1111' ? sigmas.slice(total - run) : sigmas.slice(-(steps + 1)),
  };
}

/**
 * Steps of the whole schedule and of the part that runs.
 * Source: A1111 sd_samplers_common.py, `setup_img2img_steps`; Fooocus default_pipeline.py, `calculate_sigmas`.
 */
function countSteps({ reference, steps, start }: Setup): { total: number; run: number } {
  if (start.from === 'noise') return { total: steps, run: steps };
  const { strength, exactSteps: fixedSteps = false } = start;
  if (reference === 'a1111') {
    const { scheduleSteps, tEnc } = setupImg2imgSteps({ steps, strength, fixedSteps });
    return { total: scheduleSteps, run: tEnc + 1 };
  }
  if (strength > 0.9999 || strength <= 0) return { total: steps, run: steps };
  return { total: Math.floor(steps / strength), run: steps };
}

/** Evaluations as A1111 counts them ahead. Source: sd_samplers_common.py, `SamplerData.total_steps`. */
function expectedCalls(setup: Setup): number {
  return countSteps(setup).run * (setup.definition.secondOrder ? 2 : 1);
}

function maskedBy({ reference, start }: Setup): Masked {
  return start.from === 'init' && start.masked === true ? reference : null;
}

/** What the latents start as. */
function startTerms({ options, reference, denoiser, start }: Setup, sigma: number): Term[] {
  const extra = start.from === 'init' ? (options.extraNoise ?? 0) : 0;
  if (denoiser.flow) {
    const noise: Term = [sigma + extra, UNIT_NOISE];
    return start.from === 'init' ? [[1 - sigma, INIT_LATENTS], noise] : [noise];
  }
  const sigmaMax = denoiser.sigmas[denoiser.sigmas.length - 1] ?? NaN;
  // The latents of the noisiest training level have variance 1 + sigma²: part of it is the image's.
  const withImage =
    reference === 'comfyui'
      ? sigma >= sigmaMax * (1 - 1e-5)
      : options.sgmNoiseMultiplier === true && start.from === 'noise';
  const noise: Term = [(withImage ? Math.sqrt(1 + sigma * sigma) : sigma) + extra, UNIT_NOISE];
  return start.from === 'init' ? [[1, INIT_LATENTS], noise] : [noise];
}

/** A1111 lets DPM fast and adaptive go through the model's whole range when they start from noise. */
function rangeOf(
  { reference, denoiser, steps, start }: Setup,
  sigmas: readonly number[],
): SamplerRun['range'] {
  if (reference === 'a1111' && start.from === 'noise') {
    return {
      from: denoiser.sigmas[denoiser.sigmas.length - 1] ?? NaN,
      to: denoiser.sigmas[0] ?? NaN,
      evaluations: steps,
    };
  }
  const last = sigmas.at(-1) ?? 0;
  return {
    from: sigmas[0] ?? NaN,
    to: last > 0 ? last : (sigmas.at(-2) ?? NaN),
    evaluations: sigmas.length - 1,
  };
}

function planTimesteps(
  setup: Setup,
  definition: Extract<KDiffusionDefinition, { over: 'timesteps' }>,
  schedule: SigmaSchedule,
  model: NoiseModel,
): PlannedRun {
  const { options, denoiser } = setup;
  const { levels, noisy } = chooseLevels(setup, definition, schedule, model);
  return {
    sigmas: () => levels.map(({ sigma }) => sigma),
    brownianRange: null,
    *program(watch) {
      yield combine('x', ...levelStartTerms(setup, noisy));
      const skipsUnconditional = createSkipRule(setup, watch);
      yield* definition.program({ denoiser, levels, options, skipsUnconditional, masked: maskedBy(setup) });
    },
  };
}

/** Levels of the run, and the one whose noise the latents start with. */
function chooseLevels(
  setup: Setup,
  definition: Extract<KDiffusionDefinition, { over: 'timesteps' }>,
  schedule: SigmaSchedule,
  model: NoiseModel,
): { levels: Level[]; noisy: Level } {
  const { options, denoiser, start } = setup;
  if (definition.levels === 'sigmas') {
    // λ = −log sigma has no value at 0.
    const { sigmas } = chooseSigmas(setup, schedule, model);
    const levels = sigmas.map((sigma) => levelOfSigma(Math.max(sigma, 0.001), denoiser));
    return { levels, noisy: first(levels) };
  }
  const { total, run } = countSteps(setup);
  const all = ddimLevels(
    total + (options.discardNextToLastSigma === true ? 1 : 0),
    denoiser,
    options.ddimDiscretize ?? 'uniform',
  );
  // A1111 makes the image as noisy as one level above the first that it runs; there may be none below.
  const cut = start.from === 'noise' ? 0 : Math.max(all.length - run, 0);
  const noisy = first(all.slice(cut));
  const ddim = start.from === 'init' ? all.slice(cut + 1) : all;
  if (definition.levels === 'ddim') return { levels: ddim, noisy };
  refuseTooFewForUniPc(ddim.length, options);
  const from = start.from === 'noise' ? 1 : (first(ddim).timestep + 1) / denoiser.sigmas.length;
  return {
    levels: uniPcTimes(from, ddim.length, denoiser, options).map((time) => levelOfTime(time, denoiser)),
    noisy,
  };
}

function refuseTooFewForUniPc(steps: number, { uniPcOrder = 3 }: KDiffusionOptions): void {
  if (steps >= uniPcOrder) return;
  throw new AppError(
    'invalid_request',
    `UniPC of order ${uniPcOrder} needs at least ${uniPcOrder} steps; this run has ${steps}. Use more steps or a lower order.`,
  );
}

/** Times of UniPC's steps, from `start` down to the least noisy level. Source: uni_pc.py, `get_time_steps`. */
function uniPcTimes(start: number, steps: number, denoiser: Denoiser, options: KDiffusionOptions): number[] {
  const end = 1 / denoiser.sigmas.length;
  switch (options.uniPcSkipType ?? 'time_uniform') {
    case 'time_uniform':
      return linspace(start, end, steps + 1);
    case 'time_quadratic':
      return linspace(Math.sqrt(start), Math.sqrt(end), steps + 1).map((root) => root * root);
    case 'logSNR':
      return exponentialSigmas(
        steps + 1,
        levelOfTime(end, denoiser).sigma,
        levelOfTime(start, denoiser).sigma,
      ).map((sigma) => timeOfSigma(sigma, denoiser));
  }
}

function levelStartTerms({ definition, options, denoiser, start }: Setup, level: Level): Term[] {
  const alpha = alphaOf(level);
  const sigmaMax = denoiser.sigmas[denoiser.sigmas.length - 1] ?? NaN;
  const sigmaForm = definition.over === 'timesteps' && definition.levels === 'sigmas';
  const pure = sigmaForm ? level.sigma >= sigmaMax * (1 - 1e-5) : start.from === 'noise';
  const extra = start.from === 'init' ? (options.extraNoise ?? 0) * Math.sqrt(alpha) : 0;
  const noise: Term = [(pure ? 1 : Math.sqrt(1 - alpha)) + extra, UNIT_NOISE];
  return start.from === 'init' ? [[Math.sqrt(alpha), INIT_LATENTS], noise] : [noise];
}

/**
 * Which evaluations leave the unconditional pass out. Source: A1111 sd_samplers_cfg_denoiser.py, which for the
 * timestep samplers compares `s_min_uncond` with a timestep; here it is compared with the sigma for all.
 */
function createSkipRule(
  setup: Setup,
  watch: ((sigma: number) => void) | undefined,
): (sigma: number) => boolean {
  const { sMinUncond = 0, sMinUncondAll = false, skipEarlyCond = 0 } = setup.options;
  const expected = expectedCalls(setup);
  let evaluation = 0;
  return (sigma) => {
    watch?.(sigma);
    const number = evaluation++;
    if (skipEarlyCond > 0 && number / expected <= skipEarlyCond) return true;
    return (number % 2 === 1 || sMinUncondAll) && sigma < sMinUncond;
  };
}

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new AppError('internal', 'A sampler was given no noise levels.');
  return item;
}
