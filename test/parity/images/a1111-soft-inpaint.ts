import { gaussianKernel } from '#imaging/a1111/histogram-filter.ts';
import { cutOut } from '#imaging/a1111/mask.ts';
import { adaptiveMask, softBlend, softMask } from '#imaging/a1111/soft-inpaint.ts';
import type { SoftInpainting } from '#protocol/job.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import { toGrey, toRgb } from '#imaging/pillow/convert.ts';
import {
  checkPixels,
  checkTensor,
  kindRunner,
  planesOf,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

interface SoftInpaintCase extends ImageCase {
  mask_blend_power: number;
  mask_blend_scale: number;
  inpaint_detail_preservation: number;
  composite_mask_influence: number;
  composite_difference_threshold: number;
  composite_difference_contrast: number;
  sigmas?: number[];
}

async function* softInpaintChecks(reference: SoftInpaintCase, files: CaseFiles): AsyncGenerator<Check> {
  const { tensors = {}, images = {}, sigmas = [] } = reference;
  for (const [label, deviation] of [
    ['kernel_1_5', 1.5],
    ['kernel_1', 1],
  ] as const) {
    if (tensors[label] === undefined) continue;
    const { weights } = gaussianKernel(deviation, 2);
    yield checkTensor(label, Float32Array.from(weights), await files.tensor(label));
  }
  if (tensors['a'] === undefined) return;

  const settings: SoftInpainting = {
    scheduleBias: reference.mask_blend_power,
    preservationStrength: reference.mask_blend_scale,
    transitionContrastBoost: reference.inpaint_detail_preservation,
    maskInfluence: reference.composite_mask_influence,
    differenceThreshold: reference.composite_difference_threshold,
    differenceContrast: reference.composite_difference_contrast,
  };
  const original = planesOf(await files.tensor('a'));
  const mask = planesOf(await files.tensor('nmask'));
  const blended = softBlend(original, planesOf(await files.tensor('b')), mask, settings);
  yield checkTensor('blended', blended.data, await files.tensor('blended'));
  for (const sigma of sigmas) {
    const label = Object.keys(tensors).find((name) => Number(name.replace('nmask_sigma', '')) === sigma);
    if (label === undefined) continue;
    yield checkTensor(label, repeat(softMask(mask, settings, sigma).data, 4), await files.tensor(label));
  }
  const overlay = toRgb(files.input('overlay'));
  const processed = planesOf(await files.tensor('processed'));
  const seen = adaptiveMask({ mask, original, processed, size: overlay, pasteTo: null }, settings);
  if (images['mask'] !== undefined) yield checkPixels('mask', seen, toGrey(files.image('mask')), 1);
  if (images['overlay'] !== undefined)
    yield checkPixels('overlay', cutOut(overlay, seen), files.image('overlay'), 1);
}

/** Soft inpainting. */
export const a1111SoftInpaintKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-soft-inpaint': kindRunner<SoftInpaintCase>('a1111-soft-inpaint', softInpaintChecks),
};
