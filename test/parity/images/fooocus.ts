import { cannyOfChannels, pyraCanny } from '#imaging/fooocus/pyra-canny.ts';
import { cpds } from '#imaging/fooocus/cpds.ts';
import { fillMasked } from '#imaging/fooocus/fill.ts';
import { buildImageWall } from '#imaging/fooocus/image-wall.ts';
import { binarise, erodeOrDilate, softenMask } from '#imaging/fooocus/mask.ts';
import { resampleImage } from '#imaging/fooocus/sizes.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import { decolor } from '#imaging/opencv/decolor.ts';
import { gaussianBlur, kernelOfSigma } from '#imaging/opencv/gaussian-blur.ts';
import { boxBlur } from '#imaging/pillow/blur.ts';
import { createPixels, toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { fooocusInpaintKinds } from './fooocus-inpaint.ts';
import { fooocusPlanKinds } from './fooocus-plans.ts';
import {
  checkMostPixels,
  checkPixels,
  checkValues,
  kindRunner,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

interface ResampleCase extends ImageCase {
  function: 'resample_image' | 'resize_image' | 'HWC3';
  width?: number;
  height?: number;
  resize_mode?: 0 | 1 | 2;
}

function resample(
  image: Pixels,
  { function: name, width = 0, height = 0, resize_mode = 1 }: ResampleCase,
): Pixels {
  if (name === 'HWC3') return toRgbOnWhite(image);
  if (name === 'resample_image') return resampleImage(image, { width, height });
  return resizeImage(resize_mode, image, { width, height });
}

interface MaskCase extends ImageCase {
  function: 'morphological_open' | 'erode_or_dilate' | 'up255';
  k?: number;
  t?: number;
}

function maskOf(mask: Pixels, { function: name, k = 0, t = 0 }: MaskCase): Pixels {
  if (name === 'morphological_open') return softenMask(mask);
  return name === 'up255' ? binarise(mask, t) : erodeOrDilate(mask, k);
}

interface GridCase extends ImageCase {
  n: number;
  cell: [width: number, height: number];
  grid: { cols: number; rows: number } | null;
}

function gridChecks({ n, cell: [width, height], grid }: GridCase): Check[] {
  const wall = buildImageWall(Array.from({ length: n }, (_, i) => createPixels({ width, height }, 3, i + 1)));
  const size = wall && { cols: wall.width / width, rows: wall.height / height };
  const cells = size ? Array.from({ length: size.cols * size.rows }, (_, i) => i) : [];
  const values = cells.map((i) => {
    const [x, y] = [(i % (size?.cols ?? 1)) * width, Math.floor(i / (size?.cols ?? 1)) * height];
    return wall?.data[(y * wall.width + x) * 3];
  });
  return [
    checkValues('size', size, grid),
    checkValues(
      'cells',
      values,
      cells.map((i) => (i < n ? i + 1 : 0)),
    ),
  ];
}

interface PreprocessorCase extends ImageCase {
  function: 'canny_pyramid' | 'centered_canny_color' | 'cpds' | 'cv2.decolor inside cpds';
  low?: number;
  high?: number;
}

/** Flat images give 0/0 in the reference; black is right. */
const FLAT = 'pyracanny-flat';

const MOST = { by: 3, share: 0.02 };

export const fooocusKinds: Readonly<Record<string, KindRunner>> = {
  ...fooocusPlanKinds,
  ...fooocusInpaintKinds,
  'fooocus-resample': kindRunner<ResampleCase>('fooocus-resample', (reference, files) => [
    checkPixels('result', resample(files.input('image'), reference), files.image('result'), 1),
  ]),
  'fooocus-mask': kindRunner<MaskCase>('fooocus-mask', (reference, files) => [
    checkPixels('result', maskOf(files.input('mask'), reference), files.image('result'), 0),
  ]),
  'fooocus-fill': kindRunner('fooocus-fill', (_, files) => [
    checkPixels('result', fillMasked(files.input('image'), files.input('mask')), files.image('result'), 2),
  ]),
  'fooocus-box-blur': kindRunner<ImageCase & { k: number }>('fooocus-box-blur', ({ k }, files) => [
    checkPixels('result', boxBlur(files.input('image'), k), files.image('result'), 1),
  ]),
  'fooocus-grid': kindRunner<GridCase>('fooocus-grid', gridChecks),
  'fooocus-preprocessors': kindRunner<PreprocessorCase>('fooocus-preprocessors', (reference, files) => {
    const image = files.input('image');
    const { low = 0, high = 0 } = reference;
    if (reference.function === 'canny_pyramid') {
      const edges = pyraCanny(toRgbOnWhite(image), [low, high]);
      const expected = reference.id === FLAT ? createPixels(edges, 1) : files.image('result');
      return [checkMostPixels('result', edges, expected, MOST)];
    }
    if (reference.function === 'centered_canny_color') {
      const edges = cannyOfChannels(image, [low, high]);
      return [checkMostPixels('result', edges, files.image('result'), { by: 0, share: 0.005 })];
    }
    if (reference.function === 'cpds')
      return [checkMostPixels('result', cpds(image), files.image('result'), MOST)];
    const blurred = gaussianBlur(image, kernelOfSigma(0.8, '8-bit'));
    const { grey, boosted } = decolor(blurred);
    return [
      checkPixels('blurred', blurred, files.image('blurred'), 1),
      checkMostPixels('grey', grey, files.image('grey'), MOST),
      checkMostPixels('boost', boosted, files.image('boost'), MOST),
    ];
  }),
};
