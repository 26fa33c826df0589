import { applyOverlay } from '#imaging/diffusers/apply-overlay.ts';
import { getCropRegion } from '#imaging/diffusers/crop-region.ts';
import { preprocessImage, preprocessMask, type ResizeMode } from '#imaging/diffusers/image-processor.ts';
import { panoramaViews } from '#imaging/diffusers/panorama-views.ts';
import { gaussianBlur } from '#imaging/pillow/blur.ts';
import { createPixels, type Channels, type Pixels, type Region } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import type { Size } from '#protocol/job.ts';
import { sagFunctionChecks, type SagCase } from './diffusers-sag-functions.ts';
import {
  checkPixels,
  checkRefuses,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

type Box = [x1: number, y1: number, x2: number, y2: number];

const regionOf = ([x1, y1, x2, y2]: Box): Region => ({ x1, y1, x2, y2 });

interface PreprocessCase extends ImageCase {
  width: number | null;
  height: number | null;
  resize_mode: ResizeMode;
  crops_coords: Box | null;
  shape: number[];
  mask?: boolean;
}

function preprocessChecks(reference: PreprocessCase, files: CaseFiles): Check[] {
  const { width, height, resize_mode, crops_coords, shape, mask = false } = reference;
  const options = {
    resizeMode: resize_mode,
    ...(width !== null && height !== null && { size: { width, height } }),
    ...(crops_coords && { region: regionOf(crops_coords) }),
  };
  const planes = mask
    ? preprocessMask(files.input('mask'), options)
    : preprocessImage(files.input('image'), options);
  const toSample = mask ? (x: number) => x * 255 : (x: number) => Math.round((x / 2 + 0.5) * 255);
  return [
    checkValues('shape', [1, planes.channels, planes.height, planes.width], shape),
    checkPixels('result', pixelsOf(planes, toSample), files.image('result'), mask ? 0 : 1),
  ];
}

function pixelsOf({ channels, width, height, data }: Planes, toSample: (value: number) => number): Pixels {
  const pixels = createPixels({ width, height }, channels as Channels);
  const area = width * height;
  data.forEach((value, i) => (pixels.data[(i % area) * channels + Math.floor(i / area)] = toSample(value)));
  return pixels;
}

interface CropRegionCase extends ImageCase {
  regions: [padding: number, width: number, height: number, region: Box][];
}

function cropRegionChecks({ regions }: CropRegionCase, files: CaseFiles): Check[] {
  const mask = files.input('mask');
  const isEmpty = mask.data.every((sample) => sample === 0);
  return regions.map(([padding, width, height, expected]) => {
    const find = () => getCropRegion(mask, { width, height }, padding);
    const label = `padding ${padding} for ${width}x${height}`;
    // The reference returns a reversed region there.
    return isEmpty ? checkRefuses(label, find) : checkValues(label, find(), regionOf(expected));
  });
}

interface OverlayCase extends ImageCase {
  crops_coords: Box | null;
}

interface ViewsCase extends ImageCase, Size {
  window_size?: number;
  stride?: number;
  circular_padding: boolean;
  count: number;
  first?: Box[];
  last?: Box[];
  views?: Box[];
}

function viewsChecks(reference: ViewsCase): Check[] {
  const { window_size, stride, circular_padding, count, first, last, views } = reference;
  const found = panoramaViews(reference, {
    circular: circular_padding,
    ...(window_size !== undefined && { windowSize: window_size }),
    ...(stride !== undefined && { stride }),
  }).map(({ x1, y1, x2, y2 }) => [y1, y2, x1, x2]);
  return [
    checkValues('count', found.length, count),
    checkValues('views', found, views ?? found),
    checkValues('first', found.slice(0, first?.length ?? 0), first ?? []),
    checkValues('last', found.slice(found.length - (last?.length ?? 0)), last ?? []),
  ];
}

/** diffusers' kinds that need no network. */
export const diffusersKinds: Readonly<Record<string, KindRunner>> = {
  'diffusers-preprocess': kindRunner<PreprocessCase>('diffusers-preprocess', preprocessChecks),
  'diffusers-crop-region': kindRunner<CropRegionCase>('diffusers-crop-region', cropRegionChecks),
  'diffusers-blur': kindRunner<ImageCase & { blur_factor: number }>(
    'diffusers-blur',
    ({ blur_factor }, files) => [
      checkPixels('result', gaussianBlur(files.input('mask'), blur_factor), files.image('result'), 1),
    ],
  ),
  'diffusers-overlay': kindRunner<OverlayCase>('diffusers-overlay', ({ crops_coords }, files) => {
    const [mask, initImage, generated] = ['mask', 'init_image', 'generated'].map((label) =>
      files.input(label),
    );
    if (!mask || !initImage || !generated) throw new Error('An image is missing.');
    const region = crops_coords ? regionOf(crops_coords) : undefined;
    const result = applyOverlay(mask, initImage, generated, region);
    return [checkPixels('result', result, files.image('result'), 1)];
  }),
  'diffusers-panorama-views': kindRunner<ViewsCase>('diffusers-panorama-views', viewsChecks),
  'diffusers-sag-functions': kindRunner<SagCase>('diffusers-sag-functions', sagFunctionChecks),
};
