import { finishImg2img } from '#imaging/a1111/img2img-result.ts';
import {
  prepareImg2img,
  type Inpaint,
  type MaskedContent,
  type PreparedMask,
} from '#imaging/a1111/img2img.ts';
import { boundedMode } from '#imaging/a1111/inpaint-mask.ts';
import { cutOut } from '#imaging/a1111/mask.ts';
import { latentMask } from '#imaging/a1111/inpaint-latents.ts';
import { resizeImage, type ResizeMode } from '#imaging/a1111/resize.ts';
import { adaptiveMask } from '#imaging/a1111/soft-inpaint.ts';
import { upscalerOf } from '#imaging/a1111/upscaler.ts';
import type { Fit, InpaintFill } from '#protocol/job.ts';
import type { LatentChange, PreparedInit, PrepareInit, PrepareRequest } from './prepared.ts';
import { stretchMask } from './read-init.ts';

/** A1111's `resize_mode`. */
const MODES: Readonly<Record<Fit, ResizeMode>> = { stretch: 0, crop: 1, fill: 2, latent: 3 };

/** A1111's names of what is in the masked part. */
export const MASKED_CONTENTS: Readonly<Record<InpaintFill, MaskedContent>> = {
  fill: 'fill',
  original: 'original',
  'latent-noise': 'latent noise',
  'latent-nothing': 'latent nothing',
};

/** Prepares an init image as A1111 does: modules/processing.py, `StableDiffusionProcessingImg2Img.init`. */
export const prepareByA1111: PrepareInit = async (request) => {
  const { source, init, pass, upscaler: upscalePass } = request;
  const upscaler = upscalePass && upscalerOf(upscalePass);
  const inpaint = inpaintOf(request);
  const resizeMode = modeOf(request, inpaint);
  const { image, mask } = await prepareImg2img({
    image: source.image,
    size: pass.size,
    resizeMode,
    background: [255, 255, 255],
    inpaint,
    ...(upscaler && { upscaler }),
  });
  const isRound = init.from !== 'masked' || init.round;
  const prepared: PreparedInit = {
    image,
    stretchesLatents: resizeMode === 3,
    region: mask?.pasteTo ?? null,
    mask: mask && {
      shown: mask.image,
      isRound,
      cells: (cells) => latentMask(mask.latent, cells, isRound).data,
    },
    finish: (generated, change) =>
      finishImg2img(generated, {
        mask: mask && change ? adaptMask(request, mask, change) : mask,
        putsOverlay: putsOverlay(init),
        colourTarget: init.colorCorrection === true ? image : null,
        ...(upscaler && { upscaler }),
      }),
  };
  return prepared;
};

/** The overlay's mask by how much the latents changed. Source: A1111's soft inpainting, `post_sample`. */
function adaptMask(
  { source, init, pass }: PrepareRequest,
  mask: PreparedMask,
  change: LatentChange,
): PreparedMask {
  if (init.from !== 'masked' || !init.soft) return mask;
  const { pasteTo: region, forOverlay } = mask;
  const whole = region ? source.image : resizeImage(boundedMode(MODES[init.fit]), source.image, forOverlay);
  const seen = adaptiveMask(
    { ...change, size: pass.size, pasteTo: region && { region, image: whole } },
    init.soft,
  );
  return { ...mask, forOverlay: seen, overlay: cutOut(whole, seen) };
}

/** Whether the init image is laid over the result outside the mask. */
export function putsOverlay(init: PrepareRequest['init']): boolean {
  return (
    init.from === 'masked' && init.overlay && !(init.mask.kind === 'image' && init.mask.latentOnly === true)
  );
}

function inpaintOf({ init, source, pass }: PrepareRequest): Inpaint | null {
  if (init.from !== 'masked' || !source.mask) return null;
  const onlyMasked = typeof init.area === 'object' && 'padding' in init.area ? init.area : null;
  return {
    // The region is cut out of both alike.
    mask: onlyMasked ? stretchMask(source.mask, source.image) : source.mask,
    ...(source.latentMask && { latentMask: stretchMask(source.latentMask, pass.size) }),
    blur: init.blur,
    inverted: false,
    rounded: init.round,
    onlyMasked,
    maskedContent: MASKED_CONTENTS[init.fill],
  };
}

/** Stretched latents under a mask of another size fail in A1111. Here pixels are stretched then. */
function modeOf(
  { source: { image }, init, pass: { size } }: PrepareRequest,
  inpaint: Inpaint | null,
): ResizeMode {
  const isSame = image.width === size.width && image.height === size.height;
  return init.fit === 'latent' && inpaint && !inpaint.onlyMasked && !isSame ? 0 : MODES[init.fit];
}
