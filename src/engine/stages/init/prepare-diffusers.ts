import { latentMask } from '#imaging/a1111/inpaint-latents.ts';
import { fillMasked } from '#imaging/a1111/mask.ts';
import { resizeImage, resizeImageWith } from '#imaging/a1111/resize.ts';
import { upscalerOf } from '#imaging/a1111/upscaler.ts';
import { applyColorCorrection } from '#imaging/a1111/color-correction.ts';
import { applyOverlay } from '#imaging/diffusers/apply-overlay.ts';
import { getCropRegion } from '#imaging/diffusers/crop-region.ts';
import { gaussianBlur } from '#imaging/pillow/blur.ts';
import { toGrey, toRgb } from '#imaging/pillow/convert.ts';
import { crop } from '#imaging/pillow/paste.ts';
import { mapSamples, type Pixels, type Region } from '#imaging/pixels.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import { seenThrough } from '#imaging/a1111/img2img-result.ts';
import type { Fit, MaskedInit } from '#protocol/job.ts';
import { putsOverlay } from './prepare-a1111.ts';
import type { PreparedInit, PrepareInit, PrepareRequest } from './prepared.ts';
import { stretchMask } from './read-init.ts';

/** Modes of `VaeImageProcessor.resize`; it has none for latents. */
const MODES: Readonly<Record<Fit, 0 | 1 | 2>> = { stretch: 0, crop: 1, fill: 2, latent: 0 };

/**
 * Prepares an init image as diffusers does: pipelines/stable_diffusion/pipeline_stable_diffusion_inpaint.py and
 * image_processor.py. What of a mask is not black or white counts from one half on.
 */
export const prepareByDiffusers: PrepareInit = async (request) => {
  const { source, init, pass } = request;
  if (init.from !== 'masked' || !source.mask) {
    const image = await fit(request, source.image, MODES[init.fit]);
    return {
      image,
      stretchesLatents: false,
      mask: null,
      finish: (generated) => Promise.resolve({ image: withColours(request, generated, image) }),
    };
  }
  const whole = stretchMask(source.mask, source.image);
  const blurred = init.blur.x > 0 ? gaussianBlur(whole, init.blur.x) : whole;
  const region = regionOf(init, blurred, request);
  const mode = region ? 2 : MODES[init.fit];
  const image = await fit(request, region ? crop(source.image, region) : source.image, mode);
  const mask = toGrey(resizeImage(mode, region ? crop(blurred, region) : blurred, pass.size));
  const shown = mapSamples(mask, (sample) => (sample / 255 < 0.5 ? 0 : 255));
  const filled = init.fill === 'original' ? image : fillMasked(image, shown);
  const prepared: PreparedInit = {
    image: filled,
    stretchesLatents: false,
    region,
    mask: {
      shown,
      isRound: true,
      cells: (cells) => {
        if (!init.round) return latentMask(mask, cells, false).data;
        const { width, height, data } = shown;
        const plane = { channels: 1, width, height, data: Float32Array.from(data, (sample) => sample / 255) };
        return interpolate(plane, cells, { mode: 'nearest', antialias: false }).data;
      },
    },
    finish(generated) {
      const coloured = withColours(request, generated, image);
      const overlay = region ? { mask: blurred, image: source.image } : { mask, image };
      const isSeen = putsOverlay(init);
      const finished = isSeen
        ? applyOverlay(overlay.mask, overlay.image, coloured, region ?? undefined)
        : coloured;
      const seen = isSeen ? overlay.mask : mask;
      return Promise.resolve({
        image: finished,
        byProducts: () => ({ mask: toRgb(seen), composite: seenThrough(finished, seen) }),
      });
    },
  };
  return prepared;
};

function regionOf({ area }: MaskedInit, mask: Pixels, { pass }: PrepareRequest): Region | null {
  return typeof area === 'object' && 'padding' in area ? getCropRegion(mask, pass.size, area.padding) : null;
}

function fit({ pass: { size }, upscaler }: PrepareRequest, image: Pixels, mode: 0 | 1 | 2): Promise<Pixels> {
  if (upscaler) return resizeImageWith(upscalerOf(upscaler), mode, image, size);
  return Promise.resolve(resizeImage(mode, image, size));
}

function withColours({ init }: PrepareRequest, generated: Pixels, target: Pixels): Pixels {
  return init.colorCorrection === true ? applyColorCorrection(generated, target) : generated;
}
