import type { TensorSource } from './tensor-source.ts';

/** What a file says of how its network was trained. */
export interface TrainingMarks {
  /** What the network predicts; null where the file does not say. */
  prediction: 'epsilon' | 'v_prediction' | null;
  /** Whether the noise schedule ends in noise alone. */
  zeroTerminalSnr: boolean;
}

/** A file and what its writer noted. */
type Described = TensorSource & { metadata?: Readonly<Record<string, string>> };

/** What Stability's model specification says of what is predicted. */
function statedPrediction({ metadata }: Described): string | undefined {
  const stated = metadata?.['modelspec.prediction_type'] ?? metadata?.['modelspec.predict_key'];
  return stated?.trim().toLowerCase();
}

/** By Stability's model specification, or the empty tensors `v_pred` and `ztsnr` by which SDXL files say it. */
export function trainingOf(file: Described): TrainingMarks {
  const stated = statedPrediction(file);
  const isVelocity = file.info('v_pred') !== undefined || (stated?.startsWith('v') ?? false);
  return {
    prediction: isVelocity ? 'v_prediction' : stated?.startsWith('e') === true ? 'epsilon' : null,
    zeroTerminalSnr:
      file.info('ztsnr') !== undefined || file.metadata?.['ss_zero_terminal_snr']?.toLowerCase() === 'true',
  };
}

/** Ways of training that files say by tensors of their own (ComfyUI, comfy/supported_models.py) and that are not run here. */
const OTHER_TRAINING: readonly (readonly [mark: RegExp, what: string])[] = [
  [/^edm_(?:mean|std)$/, "EDM's noise levels (Playground 2.5)"],
  [/^edm_vpred\./, "EDM's noise levels with v-prediction"],
];

/** Why a model cannot generate images, if its file says how it was trained. */
export function trainingProblem(file: Described, names: readonly string[]): string | null {
  const other = OTHER_TRAINING.find(([mark]) => names.some((name) => mark.test(name)));
  if (other) return `It was trained for ${other[1]}, which this engine does not run.`;
  const stated = statedPrediction(file);
  return stated !== undefined && /^(?:x0|x_0|sample|edm|flow|rf|rectified)/.test(stated)
    ? `It says that it predicts “${stated}”; this engine runs models that predict the noise (epsilon) or the velocity (v).`
    : null;
}
