import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import {
  fitControlImage,
  fitControlMask,
  type ControlResizeMode,
} from '#imaging/controlnet/fit-control-image.ts';
import { isPreprocessorName, preprocess } from '#imaging/controlnet/preprocessors.ts';
import { cpds } from '#imaging/fooocus/cpds.ts';
import { pyraCanny } from '#imaging/fooocus/pyra-canny.ts';
import { canny } from '#imaging/opencv/canny.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { crop } from '#imaging/pillow/paste.ts';
import { channelOf, createPixels, greyToRgb, mapSamples, type Pixels } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec, NetworkPreprocessor, Size } from '#protocol/job.ts';

/** What a control image is prepared for. */
export interface ControlTarget {
  /** Pixels that the ControlNet wants. */
  size: Size;
  /** Whose way of resizing is followed: diffusers' pipelines have no other than Lanczos. */
  rules: ControlRules;
  /** The init image of the image that is generated. */
  init?: PreparedInit | undefined;
  /** Runs the preprocessors that are networks. */
  makeMap: MakeMap;
}

/** Makes the control image, RGB, of an image in RGB. */
export type MakeMap = (preprocessor: NetworkPreprocessor, rgb: Pixels) => Promise<Pixels>;

/** Whose way of applying ControlNets is followed: that of A1111's extension, or of diffusers' pipelines. */
export type ControlRules = 'a1111' | 'diffusers';

type ControlImageSpec = Pick<ControlSpec, 'image' | 'mask' | 'fit' | 'preprocessor'>;

/** What is under transparent parts: nothing to go by. */
const BLACK = 0;
const WHITE = 255;

const MODES: Readonly<Record<ControlSpec['fit'], ControlResizeMode>> = {
  stretch: 'Just Resize',
  cover: 'Crop and Resize',
  contain: 'Resize and Fill',
};

/**
 * A control image as its ControlNet sees it: red, green and blue in 0 … 1, and −1 where an inpainting ControlNet sees nothing.
 * @throws AppError `invalid_request` for files that are not images, for preprocessors that do not exist, and if there is no image
 */
export async function prepareControlImage(spec: ControlImageSpec, target: ControlTarget): Promise<Planes> {
  const { preprocessor } = spec;
  const image = await readControlImage(spec, target);
  const fitted = (pixels: Pixels) => fit(pixels, spec, target);
  switch (preprocessor.kind) {
    case 'none':
      return toPlanes(fitted(image));
    case 'invert':
      return toPlanes(mapSamples(fitted(image), (sample) => 255 - sample));
    case 'canny':
      return toPlanes(greyToRgb(canny(fitted(image), [preprocessor.low, preprocessor.high])));
    case 'module':
      return toPlanes(fitted(preprocessBy(preprocessor, image)));
    case 'openpose':
    case 'depth':
    case 'normal':
      return toPlanes(fitted(await target.makeMap(preprocessor, image)));
    case 'inpaint': {
      const shown = spec.image ? (await maskedImage(spec, target)).mask : target.init?.mask?.shown;
      return hideMasked(toPlanes(fitted(image)), shown);
    }
    case 'fooocus':
      return toPlanes(makeFooocusMap(preprocessor, resizeImage(1, image, target.size)));
  }
}

/**
 * An inpainting ControlNet's own image at its size, RGB, and the mask, grey: 255 where nothing is seen.
 * @throws AppError `invalid_request` for files that are not images, and for a mask of another size
 */
export async function maskedImage(
  spec: ControlImageSpec,
  target: ControlTarget,
): Promise<{ image: Pixels; mask: Pixels }> {
  const own = await readControlImage(spec, target);
  const { size } = target;
  const mode = MODES[spec.fit];
  return {
    image: fit(own, spec, target),
    mask: fitControlMask(await readMask(spec, own, target), own, mode, size),
  };
}

/** The first channel of the mask, cut like its image; without one nothing is masked. */
async function readMask(
  { image, mask }: ControlImageSpec,
  own: Pixels,
  { init, size }: ControlTarget,
): Promise<Pixels> {
  if (!mask) return createPixels(own, 1);
  const [whole, pixels] = [image && (await readImage(image, BLACK)), await readImage(mask, WHITE)];
  if (whole && (whole.width !== pixels.width || whole.height !== pixels.height)) {
    throw new AppError(
      'invalid_request',
      'The mask of the ControlNet image has another size than the image. Choose one of the same size.',
    );
  }
  const grey = channelOf(pixels, 0);
  return init?.region ? resizeImage(2, crop(grey, init.region), size) : grey;
}

/** RGB: the image of its own, or the part of it that belongs to the region that is generated; or the init image. */
async function readControlImage(
  { image, preprocessor }: ControlImageSpec,
  target: ControlTarget,
): Promise<Pixels> {
  const { init, size } = target;
  if (image === undefined) {
    if (init) return init.image;
    throw new AppError(
      'invalid_request',
      'The ControlNet has no image. Add a control image or an init image.',
    );
  }
  const own = toRgb(await readImage(image, BLACK));
  return init?.region && preprocessor.kind !== 'fooocus' ? resizeImage(2, crop(own, init.region), size) : own;
}

function fit(image: Pixels, spec: ControlImageSpec, { size, rules }: ControlTarget): Pixels {
  return rules === 'diffusers' && spec.fit === 'stretch'
    ? resizeImage(0, image, size)
    : fitControlImage(image, MODES[spec.fit], size);
}

function preprocessBy(
  { name, ...settings }: Extract<ControlSpec['preprocessor'], { kind: 'module' }>,
  image: Pixels,
): Pixels {
  if (!isPreprocessorName(name)) {
    throw new AppError(
      'invalid_request',
      `The preprocessor “${name}” does not exist here, or needs a model of its own. Choose another one or none.`,
    );
  }
  return toRgb(preprocess(name, image, settings));
}

/** Source: Fooocus modules/async_worker.py, `apply_control_nets`. */
function makeFooocusMap(
  { map, low, high }: Extract<ControlSpec['preprocessor'], { kind: 'fooocus' }>,
  rgb: Pixels,
): Pixels {
  if (map === null) return rgb;
  return greyToRgb(map === 'CPDS' ? cpds(rgb) : pyraCanny(rgb, [low, high]));
}

/** Source: ControlNet extension, `inpaint_only`; diffusers' ControlNet inpainting example, `make_inpaint_condition`. */
function hideMasked(planes: Planes, mask: Pixels | undefined): Planes {
  if (!mask) return planes;
  const area = planes.width * planes.height;
  return { ...planes, data: planes.data.map((value, i) => ((mask.data[i % area] ?? 0) > 127 ? -1 : value)) };
}

function toPlanes({ width, height, data }: Pixels): Planes {
  const planes = createPlanes({ channels: 3, height, width });
  const area = width * height;
  planes.data.forEach((_, i) => (planes.data[i] = (data[(i % area) * 3 + Math.floor(i / area)] ?? 0) / 255));
  return planes;
}
