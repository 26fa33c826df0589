/** What the number of steps of a run from an image follows from. */
export interface Img2imgStepsRequest {
  steps: number;
  /** 0…1. */
  strength: number;
  /** `img2img_fix_steps`: run as many steps as requested at any strength. */
  fixedSteps: boolean;
  /** Steps of hires fix's second pass, which are always run in full. */
  hiresSteps?: number;
}

/** How a run from an image is cut out of a schedule. */
export interface Img2imgSteps {
  /** Steps of the whole schedule; 0 means that nothing runs and the latents stay unchanged. */
  scheduleSteps: number;
  /** A1111's `t_enc`: steps to run less one. */
  tEnc: number;
}

/**
 * Steps of the schedule and of the part that runs. A strength above 0.999 counts as 0.999.
 * Source: A1111 modules/sd_samplers_common.py, `setup_img2img_steps`.
 */
export function setupImg2imgSteps({
  steps,
  strength,
  fixedSteps,
  hiresSteps,
}: Img2imgStepsRequest): Img2imgSteps {
  const capped = Math.min(strength, 0.999);
  if (!fixedSteps && hiresSteps === undefined) {
    return { scheduleSteps: steps, tEnc: Math.trunc(capped * steps) };
  }
  const requested = hiresSteps || steps;
  return { scheduleSteps: strength > 0 ? Math.trunc(requested / capped) : 0, tEnc: requested - 1 };
}

/** Where k-diffusion's samplers start in the schedule's sigmas, and the steps they run; null where none is run. */
export function kDiffusionRun({
  scheduleSteps,
  tEnc,
}: Img2imgSteps): { first: number; steps: number } | null {
  return scheduleSteps === 0 ? null : { first: scheduleSteps - tEnc - 1, steps: tEnc + 1 };
}

/**
 * Steps of DDIM and DDIM CFG++, which take the schedule's lowest `tEnc` timesteps, noise the image to the timestep
 * number `tEnc` and stop before the lowest; null where none can be run.
 */
export function ddimRun({ scheduleSteps, tEnc }: Img2imgSteps): number | null {
  return scheduleSteps === 0 ? null : Math.max(tEnc - 1, 0);
}
