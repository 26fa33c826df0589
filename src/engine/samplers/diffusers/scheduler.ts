import * as v from 'valibot';
import { examineProgram, type ProgramFacts } from '#engine/samplers/examine.ts';
import {
  INIT_LATENTS,
  RESULT,
  UNIT_NOISE,
  type Instruction,
  type Register,
  type SamplerProgram,
} from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import type { NoiseLevel, PredictionType } from './prediction.ts';

/** Keys of a scheduler's `config.json`. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

/** Where a run begins: at pure noise, or at clean latents made noisy (image-to-image). */
export type DiffusersStart = { from: 'noise' } | { from: 'init'; strength: number; masked?: boolean };

/** What a run is given besides the scheduler's configuration. */
export interface DiffusersRunOptions {
  start: DiffusersStart;
  /** DDIM's share of fresh noise, 0 (none, the default) … 1 (DDPM's). */
  eta?: number;
  /** The network's own training, where the scheduler's is another one. */
  network?: NetworkTraining;
  /** Latent patches of an image, which flow-matching schedules with dynamic shifting depend on. */
  imageTokens?: number;
}

/** What a network for latents of variance 1 was trained on. */
export interface NetworkTraining {
  prediction: PredictionType;
  /** ᾱ of each training timestep, none 0. */
  alphas: Float32Array;
}

/** A run worked out. */
export interface DiffusersPlan extends ProgramFacts {
  /** A fresh program. */
  program(): SamplerProgram;
  /** Noise level (noise to signal) before each step, then the one the run ends at. */
  sigmas: number[];
  /** Factor on the unit noise that a run from noise starts with. */
  initNoiseSigma: number;
}

/** A scheduler of diffusers. */
export interface DiffusersScheduler {
  /** Every key that has a meaning for this scheduler, with diffusers' default. */
  defaults: SchedulerConfig;
  /**
   * @param config overrides of the defaults; null counts as absent
   * @param steps 1 or more
   * @throws AppError `invalid_request` for unknown keys and impossible values, `unsupported_feature` for
   *   prediction types, starts and noise schedules the scheduler cannot run
   */
  plan(config: SchedulerConfig, steps: number, options: DiffusersRunOptions): DiffusersPlan;
}

/** One run in the terms of its scheduler file. Levels and evaluations count from 0. */
export interface SchedulerRun {
  initNoiseSigma: number;
  /** Noise to signal before each iteration, then the final one. */
  sigmas: readonly number[];
  /**
   * Noise level that image-to-image latents are brought to before step `index`, as the scheduler's `add_noise`
   * does; absent where diffusers has none.
   */
  levelAt?(index: number): NoiseLevel | undefined;
  /** Steps that `strength` is a share of. */
  steps: number;
  /** Carries out the steps from `index` on; `x` holds the latents of that step. */
  sample(index: number): SamplerProgram;
}

/**
 * Makes a scheduler of its configuration's entries and of the function that works a run out.
 * @param entries each optional with diffusers' default
 */
export function defineScheduler<Entries extends v.ObjectEntries>(
  entries: Entries,
  work: (
    config: v.InferOutput<v.StrictObjectSchema<Entries, undefined>>,
    steps: number,
    options: DiffusersRunOptions,
  ) => SchedulerRun,
): DiffusersScheduler {
  const schema = v.strictObject(entries);
  return {
    defaults: v.getDefaults(schema),
    plan(config, steps, options) {
      if (!Number.isInteger(steps) || steps < 1) {
        throw new AppError(
          'invalid_request',
          `The number of steps must be a whole number above 0, not ${steps}.`,
        );
      }
      const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
      const parsed = v.safeParse(schema, given);
      if (!parsed.success) throw refusal(parsed.issues[0]);
      const run = work(parsed.output, steps, options);
      const program = () => begin(run, options.start);
      return {
        program,
        sigmas: run.sigmas.slice(firstStep(run, options.start)),
        initNoiseSigma: run.initNoiseSigma,
        ...examineProgram(program()),
      };
    },
  };
}

function* begin(run: SchedulerRun, start: DiffusersStart): SamplerProgram {
  const index = firstStep(run, start);
  const masked = start.from === 'init' && start.masked === true;
  if (start.from === 'noise' || (masked && start.strength === 1)) {
    yield { op: 'combine', to: RESULT, terms: [[run.initNoiseSigma, UNIT_NOISE]] };
  } else {
    yield addNoise(run, index, RESULT);
  }
  yield* masked ? keepOutside(run, index) : run.sample(index);
}

/** The image's latents at the noise level of step `index`. */
function addNoise(run: SchedulerRun, index: number, to: Register): Instruction {
  const level = run.levelAt?.(index);
  if (!level) {
    throw new AppError(
      'unsupported_feature',
      'This scheduler cannot start from an image. Choose another one.',
    );
  }
  const terms = [[level.alpha, INIT_LATENTS] as const, [level.sigma, UNIT_NOISE] as const];
  return { op: 'combine', to, terms };
}

/**
 * The steps from `index` on, with the image put back outside the mask before each evaluation but the first, at the
 * noise level that the latents have come to. Source: the loop of diffusers' StableDiffusionInpaintPipeline for UNets
 * of 4 channels, which does so after each evaluation.
 */
function* keepOutside(run: SchedulerRun, index: number): SamplerProgram {
  const program = run.sample(index);
  let ended = index;
  /** Of the first evaluation in this step. */
  let timestep: number | undefined;
  let answer: number | undefined;
  for (let next = program.next(); !next.done; next = program.next(answer)) {
    const instruction = next.value;
    if (instruction.op === 'denoise') {
      // A second evaluation elsewhere in a step looks at where the step leads.
      const moved = timestep !== undefined && instruction.timestep !== timestep;
      if (moved || (timestep === undefined && ended > index)) {
        yield addNoise(run, moved ? ended + 1 : ended, 'kept');
        yield { op: 'blend', to: instruction.from, inside: instruction.from, outside: 'kept' };
      }
      timestep ??= instruction.timestep;
    } else if (instruction.op === 'show') {
      ended++;
      timestep = undefined;
    }
    answer = yield instruction;
  }
}

/** Source: `get_timesteps` of diffusers' image-to-image pipelines. */
function firstStep(run: SchedulerRun, start: DiffusersStart): number {
  if (start.from === 'noise') return 0;
  if (!(start.strength >= 0 && start.strength <= 1)) {
    throw new AppError('invalid_request', `The strength must be between 0 and 1, not ${start.strength}.`);
  }
  const index = run.steps - Math.floor(run.steps * start.strength);
  if (index < run.steps) return index;
  throw new AppError(
    'invalid_request',
    `Strength ${start.strength} leaves no step of ${run.steps} to run. Raise the strength or the steps.`,
  );
}

function refusal(issue: v.BaseIssue<unknown>): AppError {
  const key = v.getDotPath(issue) ?? '';
  if (issue.type === 'strict_object') {
    return new AppError('invalid_request', `This scheduler has no setting ${String(issue.path?.[0]?.key)}.`);
  }
  if (key === 'prediction_type') {
    return new AppError(
      'unsupported_feature',
      `This scheduler cannot run a model that predicts ${issue.received}: it supports ${issue.expected ?? ''}.`,
    );
  }
  return new AppError('invalid_request', `${key}: ${issue.message}.`);
}
