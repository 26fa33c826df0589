import type { Size } from '#protocol/job.ts';
import { createPixels, cropPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import { paste } from '#imaging/pillow/paste.ts';
import { fillMasked } from './fill.ts';
import type { MaskedImage } from './image-input.ts';
import { binarise, softenMask } from './mask.ts';
import { findMaskRegion, growRegion } from './region.ts';
import { resampleImage, shapeCeil, sizeOfShapeCeil } from './sizes.ts';

/** The shape ceil that Fooocus inpaints at. */
const INPAINT_SHAPE_CEIL = 1024;
/** How many times larger Fooocus's upscaler makes an image. */
export const UPSCALER_FACTOR = 4;

/** Where inpainting happens, before a pixel is touched. */
export interface InpaintArea {
  /** Of the image, which is all that the networks see. */
  region: Region;
  /** Whether the region must go through the upscaler first. */
  upscaleFirst: boolean;
  /** Size of the region when the networks see it. */
  size: Size;
}

/**
 * Where inpainting happens. Source: Fooocus modules/inpaint_worker.py, `InpaintWorker`.
 * @param respectiveField share of the image that the region covers at least, 0…1
 * @param shape the shape ceil that the networks run at
 * @throws AppError `invalid_request` when the mask is black
 */
export function planInpaintArea(
  mask: Pixels,
  respectiveField: number,
  shape = INPAINT_SHAPE_CEIL,
): InpaintArea {
  const region = growRegion(findMaskRegion(mask), mask, respectiveField);
  const cropped = { width: region.x2 - region.x1, height: region.y2 - region.y1 };
  const upscaleFirst = shapeCeil(cropped) < shape;
  const factor = upscaleFirst ? UPSCALER_FACTOR : 1;
  const upscaled = { width: cropped.width * factor, height: cropped.height * factor };
  return { region, upscaleFirst, size: sizeOfShapeCeil(upscaled, shape) };
}

/** What the networks see of the region. */
export interface InpaintSources {
  image: Pixels;
  /** 0 and 255. */
  mask: Pixels;
  /** What the latents start from: the image, filled where it is to be generated. */
  fill: Pixels;
}

/**
 * Image, mask and start of inpainting a region. Source: the same class.
 * @param cropped the region of the image, upscaled where the area says so
 * @param mask of the whole image
 * @param useFill Fooocus fills when the denoising strength is above 0.99
 */
export function prepareInpaint(
  cropped: Pixels,
  mask: Pixels,
  { region, size }: InpaintArea,
  useFill: boolean,
): InpaintSources {
  const image = resampleImage(cropped, size);
  const resizedMask = binarise(resampleImage(cropPixels(mask, region), image), 127);
  return { image, mask: resizedMask, fill: useFill ? fillMasked(image, resizedMask) : image };
}

/**
 * The generated region put back, its surroundings faded over by the softened mask. Source: the same class,
 * `post_process` and `color_correction`.
 */
export function pasteInpainted(
  { image, mask }: MaskedImage,
  generated: Pixels,
  { x1, y1, x2, y2 }: Region,
): Pixels {
  const content = resampleImage(generated, { width: x2 - x1, height: y2 - y1 });
  const pasted = paste(image, content, { x: x1, y: y1 });
  const soft = softenMask(mask);
  const result = createPixels(image, 3);
  const { fround } = Math;
  for (let i = 0; i < result.data.length; i++) {
    const weight = fround((soft.data[Math.floor(i / 3)] ?? 0) / 255);
    const above = fround((pasted.data[i] ?? 0) * weight);
    const below = fround((image.data[i] ?? 0) * fround(1 - weight));
    result.data[i] = Math.trunc(fround(above + below));
  }
  return result;
}
