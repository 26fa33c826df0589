/** `GenerationInputStable` of the AI Horde, as far as it is used (horde/apis/models/stable_v2.py). */
export interface HordePayload {
  /** The negative prompt follows after `###`. */
  prompt: string;
  params: HordeParams;
  models: readonly string[];
  nsfw: boolean;
  censor_nsfw: boolean;
  trusted_workers: boolean;
  /** Images come by link, not in the answer. */
  r2: true;
  shared: false;
  source_image?: string;
  source_processing?: 'img2img' | 'inpainting';
  source_mask?: string;
  dry_run?: true;
}

/** `ModelGenerationInputStable`. */
export interface HordeParams {
  sampler_name: string;
  karras: boolean;
  cfg_scale: number;
  steps: number;
  width: number;
  height: number;
  n: number;
  seed: string;
  seed_variation?: number;
  clip_skip: number;
  tiling: boolean;
  denoising_strength?: number;
  hires_fix?: true;
  hires_fix_denoising_strength?: number;
  post_processing?: readonly string[];
  loras?: readonly HordeLora[];
  control_type?: string;
  image_is_control?: boolean;
}

/** A LoRA by CivitAI's version id. */
export interface HordeLora {
  name: string;
  is_version: true;
  /** Strength for the UNet. */
  model: number;
  /** Strength for the text encoder. */
  clip: number;
}

/** `RequestStatusCheck`. */
export interface HordeStatus {
  finished: number;
  processing: number;
  waiting: number;
  done: boolean;
  faulted: boolean;
  is_possible: boolean;
  wait_time: number;
  queue_position: number;
}

/** `GenerationStable`. */
export interface HordeGeneration {
  /** A link, or base64. */
  img: string;
  seed: string;
  id: string;
  worker_name: string;
  model: string;
  censored: boolean;
}
