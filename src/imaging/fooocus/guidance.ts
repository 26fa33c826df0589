/** The last timestep that Fooocus measures a run by. */
const LAST_TIMESTEP = 999;

/** How far a run is at a timestep: 0 at pure noise … 1. Source: Fooocus, modules/patch.py, `patched_unet_forward`. */
function progressAt(timestep: number): number {
  return 1 - timestep / LAST_TIMESTEP;
}

/**
 * The guidance scale that counts at a timestep: one above the adaptive scale begins as that, and grows to itself.
 * Source: Fooocus, modules/patch.py, `compute_cfg`.
 */
export function adaptiveScale(guidanceScale: number, adaptive: number, timestep: number): number {
  if (guidanceScale <= adaptive) return guidanceScale;
  const progress = progressAt(timestep);
  return guidanceScale * progress + adaptive * (1 - progress);
}

/**
 * How much of the smoothed prediction is mixed into the positive one, which sharpens the image.
 * Source: Fooocus, modules/patch.py, `patched_sampling_function`.
 */
export function smoothedShare(sharpness: number, timestep: number): number {
  return 0.001 * sharpness * progressAt(timestep);
}

/** Above this timestep SDXL is given the scaled sizes. Source: Fooocus, modules/patch.py, `timed_adm`. */
export function scaledSizesUntil(end: number): number {
  return LAST_TIMESTEP * (1 - end);
}

/** A side as the target size has it: the next multiple of 64, of two the one that is even. Source: `round_to_64`. */
export function roundTo64(side: number): number {
  const lower = Math.floor(side / 64);
  const rest = side / 64 - lower;
  const isUp = rest > 0.5 || (rest === 0.5 && lower % 2 === 1);
  return (lower + (isUp ? 1 : 0)) * 64;
}
