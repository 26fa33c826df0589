import type { ImageInit, MaskedInit, MaskSource, SoftInpainting } from '#protocol/job.ts';

/** Init images by A1111's rules, stretched to their pass. */
export function imageInit(images: readonly Blob[], changes: Partial<ImageInit> = {}): ImageInit {
  return { from: 'image', rules: 'a1111', images, fit: 'stretch', ...changes };
}

/** The same with a mask whose white is generated again: the whole image, without blur and overlay. */
export function maskedInit(
  images: readonly Blob[],
  mask: Blob | MaskSource,
  changes: Partial<MaskedInit> = {},
): MaskedInit {
  return {
    ...imageInit(images),
    from: 'masked',
    mask: mask instanceof Blob ? { kind: 'image', mask, invert: false } : mask,
    fill: 'original',
    blur: { x: 0, y: 0 },
    round: true,
    area: 'whole',
    overlay: false,
    ...changes,
  };
}

/** Soft inpainting as A1111's script has it at first. */
export const SOFT: SoftInpainting = {
  scheduleBias: 1,
  preservationStrength: 0.5,
  transitionContrastBoost: 4,
  maskInfluence: 0,
  differenceThreshold: 0.5,
  differenceContrast: 2,
};
