/**
 * Which sampler runs, in the words of the reference program it must agree with. The two families differ in
 * their numbers even where they implement the same paper, so a request names the family it wants.
 */
export type SamplerChoice = DiffusersSampler | KDiffusionSampler;

/** A scheduler of diffusers with the overrides of its `config.json` (`use_karras_sigmas`, `algorithm_type` …). */
export interface DiffusersSampler {
  family: 'diffusers';
  /** The class name, such as `EulerDiscreteScheduler`. */
  scheduler: string;
  /** Keys of the scheduler's `config.json` that differ from the model's own. */
  config: Readonly<Record<string, string | number | boolean>>;
  /** DDIM's share of fresh noise, 0 (none, the default) to 1 (DDPM's). */
  eta?: number;
}

/** A sampler of k-diffusion as A1111, ComfyUI and Fooocus run it. */
export interface KDiffusionSampler {
  family: 'k-diffusion';
  /** Key of the engine's registry, such as `dpmpp_2m`. */
  sampler: string;
  /** Key of the engine's sigma schedules, such as `karras`; `automatic` leaves it to the sampler. */
  schedule: string;
  options: KDiffusionOptions;
}

/** What a request can override; the defaults are A1111's. */
export interface KDiffusionOptions {
  /**
   * Whose version runs where the two differ: A1111's (the default), or ComfyUI's as Fooocus carries it, with
   * whole timesteps, its own form of `ddim`, `uni_pc` and `lcm`, and `steps` counted after image-to-image's cut.
   */
  reference?: 'a1111' | 'comfyui';
  /** Noise multiplier of ancestral and SDE samplers (1) and of DDIM (0). */
  eta?: number;
  sChurn?: number;
  sTmin?: number;
  /** 0 means no limit. */
  sTmax?: number;
  sNoise?: number;
  /** Below this sigma the unconditional pass is skipped on every other step; 0 never. */
  sMinUncond?: number;
  /** `sMinUncond` skips on every step. */
  sMinUncondAll?: boolean;
  /** Share of the first steps that run without the unconditional pass. */
  skipEarlyCond?: number;
  /** Range and curve of the sigma schedule; 0 leaves the model's own. */
  sigmaMin?: number;
  sigmaMax?: number;
  rho?: number;
  /** Use sigmas 0.1 to 10 with Karras, as A1111's `use_old_karras_scheduler_sigmas`. */
  oldKarrasSigmas?: boolean;
  discardNextToLastSigma?: boolean;
  /** Start from `x * sqrt(1 + sigma²)` instead of `x * sigma`. */
  sgmNoiseMultiplier?: boolean;
  /** From an image: this share of the unit noise is added to the noisy latents once more (A1111's `img2img_extra_noise`). */
  extraNoise?: number;
  ddimDiscretize?: 'uniform' | 'quad';
  uniPcVariant?: 'bh1' | 'bh2' | 'vary_coeff';
  uniPcSkipType?: 'time_uniform' | 'time_quadratic' | 'logSNR';
  uniPcOrder?: number;
  uniPcLowerOrderFinal?: boolean;
  betaDistAlpha?: number;
  betaDistBeta?: number;
  solverType?: 'midpoint' | 'heun';
  /** Tell the network the nearest training timestep instead of a fraction (A1111's `enable_quantization`). */
  quantize?: boolean;
  /** Zero-terminal-SNR rescaling of the model's noise schedule. */
  noiseSchedule?: 'default' | 'zero_terminal_snr';
}
