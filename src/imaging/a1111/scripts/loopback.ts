import type { MaskedContent } from '#imaging/a1111/img2img.ts';

/** How the denoising strength goes from its first to its last value. */
export type DenoisingCurve = 'Aggressive' | 'Linear' | 'Lazy';

/** The settings of loopback. */
export interface LoopbackRequest {
  loops: number;
  /** How often the loops are run from the init image; `n_iter`. */
  batches: number;
  seed: number;
  strength: number;
  finalStrength: number;
  curve: DenoisingCurve;
  maskedContent: MaskedContent;
}

/** One img2img of one image. */
export interface LoopbackRun {
  seed: number;
  strength: number;
  maskedContent: MaskedContent;
  /** It starts from the init image; else from the image of the run before. */
  fromInit: boolean;
  /** Its image is one of those returned. */
  returned: boolean;
}

/**
 * The runs of loopback, one after the other: img2img of its own result. Colour correction, where it is on, aims at the
 * init image throughout. More than one returned image are preceded by a grid of one row.
 * Source: A1111 scripts/loopback.py.
 */
export function planLoopback(request: LoopbackRequest): LoopbackRun[] {
  const { loops, batches, seed } = request;
  return Array.from({ length: batches * loops }, (_, i) => {
    const loop = i % loops;
    return {
      seed: seed + i,
      strength: loopStrength(request, loop),
      maskedContent: loop === 0 ? request.maskedContent : 'original',
      fromInit: loop === 0,
      returned: batches === 1 || loop === loops - 1,
    };
  });
}

function loopStrength({ loops, strength, finalStrength, curve }: LoopbackRequest, loop: number): number {
  if (loops === 1) return strength;
  const progress = loop / (loops - 1);
  return strength + (finalStrength - strength) * CURVES[curve](progress);
}

const CURVES: Readonly<Record<DenoisingCurve, (progress: number) => number>> = {
  Aggressive: (progress) => Math.sin(progress * Math.PI * 0.5),
  Linear: (progress) => progress,
  Lazy: (progress) => 1 - Math.cos(progress * Math.PI * 0.5),
};
