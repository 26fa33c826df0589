import { AppError } from '#protocol/error.ts';
import { cumulativeAlphas, makeBetas, rescaleZeroTerminalSnr } from './noise-schedule.ts';
import type { BetaSchedule } from './noise-schedule.ts';

/** What samplers must know of a model. */
export interface NoiseModel {
  /** The model's `scheduler_config.json` as diffusers stores it. What it leaves out is as in Stable Diffusion. */
  schedulerConfig: Readonly<Record<string, unknown>>;
  /** Whose Align Your Steps table fits; SD 1.5's where it is not said. */
  alignYourSteps?: 'sd1' | 'sdxl';
}

/** What the network's output means. */
type Prediction = 'epsilon' | 'v_prediction' | 'sample' | 'flow_prediction';

/** The training process of a model, as the k-diffusion samplers take it. */
export type TrainingProcess =
  | {
      kind: 'diffusion';
      prediction: Exclude<Prediction, 'flow_prediction'>;
      /** ᾱ of each training timestep; never quite 0. */
      alphasCumprod: Float32Array;
      zeroTerminalSnr: boolean;
    }
  | { kind: 'flow'; timesteps: number; shift: number };

const BETA_SCHEDULES: readonly BetaSchedule[] = [
  'linear',
  'scaled_linear',
  'squaredcos_cap_v2',
  'laplace',
  'exp',
  'sigmoid',
];

/** ᾱ of the last timestep of a zero-terminal-SNR model: 0 has no sigma, so A1111 and ComfyUI take this. */
const TERMINAL_ALPHA = 4.8973451890853435e-8;

/**
 * Reads a model's training process.
 * @param zeroTerminalSnr rescale to zero terminal SNR even if the model's configuration does not ask for it
 * @throws AppError `invalid_request` if the configuration holds a value that no program knows;
 * `unsupported_feature` for zero terminal SNR with a model that predicts noise
 */
export function readTrainingProcess(model: NoiseModel, zeroTerminalSnr: boolean): TrainingProcess {
  const config = model.schedulerConfig;
  const prediction = oneOf(
    config,
    'prediction_type',
    ['epsilon', 'v_prediction', 'sample', 'flow_prediction'],
    'epsilon',
  );
  const timesteps = numberOf(config, 'num_train_timesteps', 1000);
  const className = config._class_name;
  if (
    prediction === 'flow_prediction' ||
    (typeof className === 'string' && className.startsWith('FlowMatch'))
  ) {
    return { kind: 'flow', timesteps, shift: numberOf(config, 'shift', 1) };
  }
  const betas =
    trainedBetas(config.trained_betas) ??
    makeBetas({
      schedule: oneOf(config, 'beta_schedule', BETA_SCHEDULES, 'scaled_linear'),
      start: numberOf(config, 'beta_start', 0.00085),
      end: numberOf(config, 'beta_end', 0.012),
      steps: timesteps,
    });
  if (!zeroTerminalSnr && config.rescale_betas_zero_snr !== true) {
    return { kind: 'diffusion', prediction, alphasCumprod: cumulativeAlphas(betas), zeroTerminalSnr: false };
  }
  if (prediction === 'epsilon') {
    throw new AppError(
      'unsupported_feature',
      'Zero terminal SNR needs a model that predicts v or the sample, and this one predicts noise. Turn it off, or choose another checkpoint.',
    );
  }
  const alphasCumprod = cumulativeAlphas(rescaleZeroTerminalSnr(betas));
  alphasCumprod[alphasCumprod.length - 1] = TERMINAL_ALPHA;
  return { kind: 'diffusion', prediction, alphasCumprod, zeroTerminalSnr: true };
}

function trainedBetas(value: unknown): Float32Array | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value) && value.every((beta) => typeof beta === 'number'))
    return Float32Array.from(value);
  throw new AppError(
    'invalid_request',
    "'trained_betas' in the model's scheduler configuration is not a list of numbers.",
  );
}

function numberOf(config: NoiseModel['schedulerConfig'], key: string, fallback: number): number {
  const value = config[key] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new AppError('invalid_request', `'${key}' in the model's scheduler configuration is not a number.`);
}

function oneOf<T extends string>(
  config: NoiseModel['schedulerConfig'],
  key: string,
  known: readonly T[],
  fallback: T,
): T {
  const value = config[key] ?? fallback;
  const found = known.find((item) => item === value);
  if (found !== undefined) return found;
  throw new AppError(
    'invalid_request',
    `The model's scheduler configuration has '${key}' = ${JSON.stringify(value)}; known are ${known.join(', ')}.`,
  );
}
