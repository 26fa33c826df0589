import { CAPABILITIES } from '#protocol/capabilities.ts';
import type { ControlPreprocessor, PostStep, SafetyStep } from '#protocol/job.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { INFOTEXT_SAMPLERS } from '#codecs/infotext-samplers.ts';

/*
 * What the AI Horde calls things: its own lists are in horde/consts.py (KNOWN_SAMPLERS, KNOWN_POST_PROCESSORS) and in
 * horde/apis/models/stable_v2.py (`control_type`) of github.com/Haidra-Org/AI-Horde.
 */

/** Samplers by k-diffusion's name. */
const K_DIFFUSION: Readonly<Record<string, string>> = {
  euler: 'k_euler',
  euler_ancestral: 'k_euler_a',
  lms: 'k_lms',
  heun: 'k_heun',
  dpm_2: 'k_dpm_2',
  dpm_2_ancestral: 'k_dpm_2_a',
  dpm_fast: 'k_dpm_fast',
  dpm_adaptive: 'k_dpm_adaptive',
  dpmpp_2s_ancestral: 'k_dpmpp_2s_a',
  dpmpp_2m: 'k_dpmpp_2m',
  dpmpp_sde: 'k_dpmpp_sde',
  dpmpp_sde_gpu: 'k_dpmpp_sde',
  ddim: 'DDIM',
  lcm: 'lcm',
};

/** Samplers by the class of diffusers. */
const DIFFUSERS: Readonly<Record<string, string>> = {
  EulerDiscreteScheduler: 'k_euler',
  EulerAncestralDiscreteScheduler: 'k_euler_a',
  LMSDiscreteScheduler: 'k_lms',
  HeunDiscreteScheduler: 'k_heun',
  KDPM2DiscreteScheduler: 'k_dpm_2',
  KDPM2AncestralDiscreteScheduler: 'k_dpm_2_a',
  DPMSolverMultistepScheduler: 'k_dpmpp_2m',
  DDIMScheduler: 'DDIM',
  LCMScheduler: 'lcm',
};

/** The only algorithm of diffusers' multistep DPM-Solver that the Horde has. */
const DPM_ALGORITHM = 'dpmsolver++';

/** A sampler as the Horde names it. */
export interface HordeSampler {
  name: string;
  /** The Horde has Karras' schedule and the model's own, and no other. */
  karras: boolean;
  /** The schedule that was asked for, where it is neither. */
  lostSchedule?: string;
}

/** Undefined for a sampler the Horde does not have. */
export function hordeSampler(choice: SamplerChoice): HordeSampler | undefined {
  if (choice.family === 'diffusers') {
    const { scheduler, config } = choice;
    const name = DIFFUSERS[scheduler];
    const algorithm = config['algorithm_type'] ?? DPM_ALGORITHM;
    if (name === undefined || algorithm !== DPM_ALGORITHM) return undefined;
    return { name, karras: config['use_karras_sigmas'] === true };
  }
  const { sampler, schedule } = choice;
  const name = K_DIFFUSION[sampler];
  if (name === undefined) return undefined;
  const own = INFOTEXT_SAMPLERS.find(({ id }) => id === sampler);
  const ownSchedule = own && 'schedule' in own ? own.schedule : 'normal';
  const chosen = schedule === 'automatic' ? ownSchedule : schedule;
  const isPlain = ['normal', 'uniform', 'simple', 'karras'].includes(chosen) || name === 'DDIM';
  return { name, karras: chosen === 'karras', ...(!isPlain && { lostSchedule: chosen }) };
}

/** Checkpoints of the catalogue that the Horde has too, under its own names. */
const MODELS: Readonly<Record<string, string>> = {
  'stable-diffusion-1.5': 'stable_diffusion',
  'stable-diffusion-2.1-base-onnx': 'stable_diffusion_2.1',
  'sdxl-base-1.0': 'SDXL 1.0',
};

/** The Horde's own default. */
export const DEFAULT_HORDE_MODEL = 'stable_diffusion';

/** The Horde's model for a checkpoint; undefined where it has none that is known to be the same. */
export function hordeModelOf(checkpoint: string): string | undefined {
  return MODELS[checkpoint];
}

/** An upscaler or face restorer of the Horde. */
interface PostProcessor {
  name: string;
  /** By how much it upscales; a face restorer keeps the size. */
  factor: number;
}

/** By their names without anything but letters and digits, A1111's menu and the files' own names included. */
const POST_PROCESSORS: Readonly<Record<string, PostProcessor>> = {
  realesrganx4plus: { name: 'RealESRGAN_x4plus', factor: 4 },
  resrgan4x: { name: 'RealESRGAN_x4plus', factor: 4 },
  realesrganx2plus: { name: 'RealESRGAN_x2plus', factor: 2 },
  realesrganx4plusanime6b: { name: 'RealESRGAN_x4plus_anime_6B', factor: 4 },
  resrgan4xanime6b: { name: 'RealESRGAN_x4plus_anime_6B', factor: 4 },
  nmkdsiax: { name: 'NMKD_Siax', factor: 4 },
  '4xnmkdsiax200k': { name: 'NMKD_Siax', factor: 4 },
  '4xanimesharp': { name: '4x_AnimeSharp', factor: 4 },
  '4xnomos8ksc': { name: '4xNomos8kSC', factor: 4 },
  '4xlsdirplus': { name: '4xLSDIRplus', factor: 4 },
  '4xnomoswebphotorealplksr': { name: '4xNomosWebPhoto_RealPLKSR', factor: 4 },
  '4xnomos2realplksrdysample': { name: '4xNomos2_realplksr_dysample', factor: 4 },
  '4xnomos2hqdat2': { name: '4xNomos2_hq_dat2', factor: 4 },
  '2xmodernspanimationv1': { name: '2xModernSpanimationV1', factor: 2 },
  gfpgan: { name: 'GFPGAN', factor: 1 },
  gfpganv14: { name: 'GFPGAN', factor: 1 },
  gfpganv13: { name: 'GFPGANv1.3', factor: 1 },
  codeformer: { name: 'CodeFormers', factor: 1 },
  restoreformer: { name: 'RestoreFormer', factor: 1 },
};

/** The post-processor for a step on finished images, or why the Horde has none. */
export function hordePostProcessor(
  step: Exclude<PostStep, SafetyStep>,
): { name: string } | { problem: string } {
  if (step.kind === 'upscale') {
    const { upscaler, second, size } = step;
    const found = findPostProcessor(upscaler);
    if (!found || found.factor === 1) return { problem: `the upscaler “${upscaler}”` };
    if (second && second.visibility > 0) return { problem: 'a second upscaler' };
    if (!('factor' in size) || size.factor !== found.factor)
      return { problem: `upscaling by “${upscaler}” to another size than ${String(found.factor)}×` };
    return found;
  }
  if (step.kind === 'restore-faces') {
    const found = findPostProcessor(step.restorer);
    return found?.factor === 1 ? found : { problem: `the face restorer “${step.restorer}”` };
  }
  return { problem: CAPABILITIES.enhance.title };
}

function findPostProcessor(name: string): PostProcessor | undefined {
  return POST_PROCESSORS[name.toLowerCase().replace(/[^a-z0-9]/g, '')];
}

/** Kinds of ControlNet by what their names contain, the more special ones first. */
const CONTROL_TYPES: readonly (readonly [RegExp, string])[] = [
  [/canny/i, 'canny'],
  [/openpose/i, 'openpose'],
  [/depth/i, 'depth'],
  [/normal/i, 'normal'],
  [/hed|softedge/i, 'hed'],
  [/mlsd|hough/i, 'hough'],
  [/scribble/i, 'scribble'],
  [/seg/i, 'seg'],
];

/** A ControlNet as the Horde names it. */
export interface HordeControl {
  type: string;
  /** Whether the image is a finished map; otherwise the Horde makes one of it. */
  isMap: boolean;
}

/** The Horde's ControlNet for one of ours and how its image is prepared; undefined where it has none. */
export function hordeControl(id: string, preprocessor: ControlPreprocessor): HordeControl | undefined {
  const type = CONTROL_TYPES.find(([pattern]) => pattern.test(id))?.[1];
  if (type === undefined) return undefined;
  switch (preprocessor.kind) {
    case 'none':
      return { type, isMap: true };
    case 'canny':
      return type === 'canny' ? { type, isMap: false } : undefined;
    case 'fooocus':
      if (preprocessor.map === null) return { type, isMap: true };
      return preprocessor.map === 'PyraCanny' && type === 'canny' ? { type, isMap: false } : undefined;
    // What makes the map is the Horde's own.
    case 'openpose':
    case 'depth':
    case 'normal':
      return type === preprocessor.kind ? { type, isMap: false } : undefined;
    case 'module':
      return CONTROL_TYPES.find(([pattern]) => pattern.test(preprocessor.name))?.[1] === type
        ? { type, isMap: false }
        : undefined;
    default:
      return undefined;
  }
}
