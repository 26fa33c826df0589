import { MASKED_CONTENTS } from '#codecs/generation-fields.ts';
import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import type { Fit, Init, InpaintFill, MaskedInit, NoiseSpec, SoftInpainting } from '#protocol/job.ts';
import type { Installed } from './checkpoints.ts';
import { httpException, pythonException } from './errors.ts';
import type { Img2imgBody } from './img2img-body.ts';
import { namesFile } from './names-file.ts';
import type { Options } from './options.ts';
import { softPairs } from './always-on.ts';
import { findUpscaler } from './upscalers.ts';

/** The image files of a request to img2img. */
export interface Img2imgFiles {
  images: readonly Blob[];
  mask: Blob | null;
  latentMask: Blob | null;
}

/** Where a run of img2img starts, and what the infotext says of it. */
export interface PlannedInit {
  init: Init;
  /** As many as there are init images, where there are several. */
  batchSize: number;
  pairs: InfotextPair[];
  /** Names without effect. */
  unknown: string[];
}

/** By number; the original takes every other number for the third. */
const FITS: Readonly<Record<number, Fit>> = { 0: 'stretch', 1: 'crop', 3: 'latent' };

/** By number, as {@link MASKED_CONTENTS} has the infotext's words; the original fills for every other number too. */
const FILLS: readonly InpaintFill[] = ['fill', 'original', 'latent-noise', 'latent-nothing'];

/**
 * Where a run of img2img starts (A1111 modules/processing.py, `StableDiffusionProcessingImg2Img.init`).
 * @param soft the sliders of soft inpainting, where it is switched on
 * @throws AppError as the original for more init images than a batch has; `invalid_request` for a negative blur or padding
 */
export function planInit(
  body: Img2imgBody,
  { images, mask, latentMask }: Img2imgFiles,
  options: Options,
  { addOns }: Installed,
  soft: SoftInpainting | null,
): PlannedInit {
  const batchSize = batchSizeFor(images.length, body.batch_size);
  const { upscaler_for_img2img: upscalerName, inpainting_mask_weight: hide } = options;
  const upscaler = namesFile(upscalerName) ? findUpscaler(upscalerName, addOns) : undefined;
  const start = {
    rules: 'a1111',
    images,
    fit: FITS[body.resize_mode] ?? 'fill',
    ...(upscaler !== undefined && { resizeBy: upscaler }),
    ...(options.img2img_color_correction && { colorCorrection: true }),
  } as const;
  const unknown = [
    ...(namesFile(upscalerName) && upscaler === undefined ? ['override_settings.upscaler_for_img2img'] : []),
    ...(soft && !mask ? ['alwayson_scripts.soft inpainting'] : []),
  ];
  const source = mask ?? latentMask;
  if (!source) return { init: { ...start, from: 'image' }, batchSize, pairs: [], unknown };
  const init: MaskedInit = {
    ...start,
    from: 'masked',
    mask: {
      kind: 'image',
      mask: source,
      invert: body.inpainting_mask_invert !== 0,
      ...(!mask && { latentOnly: true }),
      ...(mask && latentMask && { latentMask }),
    },
    fill: FILLS[body.inpainting_fill] ?? 'fill',
    blur: blurOf(body),
    round: body.mask_round && !soft,
    area: mask && body.inpaint_full_res ? { padding: paddingOf(body) } : 'whole',
    overlay: mask !== null && options.overlay_inpaint,
    ...(hide !== 1 && { hide: Math.min(Math.max(hide, 0), 1) }),
    ...(soft && mask && { soft }),
  };
  return { init, batchSize, pairs: maskPairs(body, init, soft), unknown };
}

/** How the noise of the options is added to init images, and what the infotext says of it. */
export function initNoise(
  multiplier: number,
  { img2img_extra_noise: extra }: Options,
): { noise: Pick<NoiseSpec, 'initialMultiplier' | 'extra'>; pairs: InfotextPair[] } {
  return {
    noise: { ...(multiplier !== 1 && { initialMultiplier: multiplier }), ...(extra > 0 && { extra }) },
    pairs: [
      ...(multiplier === 1 ? [] : ([['Noise multiplier', pythonFloat(multiplier)]] as const)),
      ...(extra > 0 ? ([['Extra noise', pythonFloat(extra)]] as const) : []),
    ],
  };
}

function batchSizeFor(images: number, batchSize: number): number {
  if (images === 1) return batchSize;
  if (images <= batchSize) return images;
  throw pythonException(
    'RuntimeError',
    `bad number of images passed: ${images}; expecting ${batchSize} or less`,
  );
}

function blurOf({ mask_blur: both, mask_blur_x: x, mask_blur_y: y }: Img2imgBody): MaskedInit['blur'] {
  // The original blurs for what is above 0.
  return { x: Math.max(both ?? x, 0), y: Math.max(both ?? y, 0) };
}

function paddingOf({ inpaint_full_res_padding: padding }: Img2imgBody): number {
  if (padding < 0) throw httpException(422, 'inpaint_full_res_padding must be at least 0');
  return padding;
}

function maskPairs(body: Img2imgBody, init: MaskedInit, soft: SoftInpainting | null): InfotextPair[] {
  const { x, y } = init.blur;
  const content = MASKED_CONTENTS[body.inpainting_fill];
  const pairs: (readonly [key: string, value: string | null])[] = [
    ...(soft ? softPairs(soft) : []),
    ['Mask mode', body.inpainting_mask_invert === 0 ? null : 'Inpaint not masked'],
    // The original has one number for both.
    ['Mask blur', x === y && x > 0 ? String(x) : null],
    ['Inpaint area', init.area === 'whole' ? null : 'Only masked'],
    ['Masked area padding', init.area === 'whole' ? null : String(body.inpaint_full_res_padding)],
    ['Conditional mask weight', init.hide === undefined ? null : pythonFloat(init.hide)],
    ['Masked content', content === undefined || content === 'original' ? null : content],
  ];
  return pairs.filter((pair): pair is InfotextPair => pair[1] !== null);
}
