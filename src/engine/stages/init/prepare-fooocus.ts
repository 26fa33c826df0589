import { cutMiddle } from '#engine/stages/pixels/cut-middle.ts';
import { applyColorCorrection } from '#imaging/a1111/color-correction.ts';
import { seenThrough } from '#imaging/a1111/img2img-result.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import {
  pasteInpainted,
  planInpaintArea,
  prepareInpaint,
  UPSCALER_FACTOR,
  type InpaintArea,
} from '#imaging/fooocus/inpaint.ts';
import { latentMask } from '#imaging/fooocus/latent-mask.ts';
import { binarise } from '#imaging/fooocus/mask.ts';
import { resampleImage, shapeCeil } from '#imaging/fooocus/sizes.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import { cropPixels, type Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { MaskedInit, Pass, Size } from '#protocol/job.ts';
import { putsOverlay } from './prepare-a1111.ts';
import type { PreparedInit, PrepareInit, PrepareRequest } from './prepared.ts';
import { stretchMask, type InitSource } from './read-init.ts';

const CELL = 8;

/** Prepares an init image as Fooocus does: modules/async_worker.py, modules/inpaint_worker.py. */
export const prepareByFooocus: PrepareInit = (request) => {
  const { source, init } = request;
  return init.from === 'masked' && source.mask
    ? prepareRegion(request, init, stretchMask(source.mask, source.image))
    : prepareWhole(request);
};

/**
 * The size that the region of a mask is generated at: Fooocus chooses it by the region's aspect, with about as many pixels
 * as the requested size (1024 × 1024 there).
 * @returns the region's size before and after it is cut to whole latent cells
 * @throws AppError `invalid_request` for a black mask
 */
export function sizeOfRegion(
  { image, mask }: InitSource,
  init: MaskedInit,
  asked: Size,
): Required<Pick<Pass, 'size' | 'resizeTo'>> {
  if (!mask)
    throw new AppError('invalid_request', 'There is no mask. Send one, or choose sides to outpaint.');
  const { size } = planInpaintArea(stretchMask(mask, image), fieldOf(init), shapeCeil(asked));
  const cut = (side: number) => Math.max(CELL, Math.floor(side / CELL) * CELL);
  return { resizeTo: size, size: { width: cut(size.width), height: cut(size.height) } };
}

function fieldOf({ area }: MaskedInit): number {
  if (area === 'whole') return 1;
  if ('field' in area) return area.field;
  throw new AppError(
    'invalid_request',
    'Fooocus measures the area around a mask by its field, not by padding. Choose a field between 0 and 1.',
  );
}

async function prepareWhole({ source, init, pass, upscaler }: PrepareRequest): Promise<PreparedInit> {
  const upscaled = upscaler ? await upscaler(source.image, UPSCALER_FACTOR) : source.image;
  const { size, resizeTo = size } = pass;
  const mode = { stretch: 0, latent: 0, crop: 1, fill: 2 } as const;
  const image = cutMiddle(resizeImage(mode[init.fit], upscaled, resizeTo), size);
  return {
    image,
    stretchesLatents: false,
    mask: null,
    finish: (generated) => Promise.resolve({ image: withColours(init, generated, image) }),
  };
}

async function prepareRegion(
  { source, pass, upscaler }: PrepareRequest,
  init: MaskedInit,
  mask: Pixels,
): Promise<PreparedInit> {
  const { size, resizeTo = size } = pass;
  const planned = planInpaintArea(mask, fieldOf(init), shapeCeil(resizeTo));
  const area: InpaintArea = { ...planned, size: resizeTo };
  const { region } = area;
  const cropped = cropPixels(source.image, region);
  const upscaled = area.upscaleFirst && upscaler ? await upscaler(cropped, UPSCALER_FACTOR) : cropped;
  const prepared = prepareInpaint(upscaled, mask, area, init.fill !== 'original');
  const image = cutMiddle(prepared.fill, size);
  return {
    image,
    stretchesLatents: false,
    region,
    mask: {
      shown: cutMiddle(prepared.mask, size),
      isRound: true,
      cells: ({ width, height }) => {
        const blocks = { width: width * CELL, height: height * CELL };
        const { data } = latentMask(binarise(resampleImage(prepared.mask, blocks), 127));
        return Float32Array.from(data, (sample) => sample / 255);
      },
    },
    finish(generated) {
      const coloured = withColours(init, generated, image);
      const finished = putsOverlay(init)
        ? pasteInpainted({ image: source.image, mask }, coloured, region)
        : putBack(source.image, coloured, region);
      return Promise.resolve({
        image: finished,
        byProducts: () => ({ mask: toRgb(mask), composite: seenThrough(finished, mask) }),
      });
    },
  };
}

function putBack(image: Pixels, generated: Pixels, { x1, y1, x2, y2 }: InpaintArea['region']): Pixels {
  return paste(image, resampleImage(generated, { width: x2 - x1, height: y2 - y1 }), { x: x1, y: y1 });
}

function withColours({ colorCorrection }: PrepareRequest['init'], generated: Pixels, target: Pixels): Pixels {
  return colorCorrection === true ? applyColorCorrection(generated, target) : generated;
}
