import type { Session } from '#engine/runtime/runtime.ts';
import { panoramaViews } from '#imaging/diffusers/panorama-views.ts';
import { AppError } from '#protocol/error.ts';
import type { Pass } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { inLessMemory } from '#engine/stages/pixels/tiles.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import { createCpuDenoiser, type CpuDenoiser } from './cpu-denoiser.ts';
import type { GuidedUnet, LatentShape } from './unet.ts';

/** A window on the latents: the row and column that each of its own is. */
interface View {
  rows: readonly number[];
  columns: readonly number[];
}

/** How latents are generated in windows. */
export interface Panorama {
  /** The right end continues at the left. */
  circular: boolean;
  /** Latent cells of a window's side. */
  window: number;
  /** Latent cells from one window to the next. */
  stride: number;
}

/** diffusers' windows, which are as large as Stable Diffusion was trained for; of models that know one size only, that. */
function panoramaOf({ panorama }: Pick<Pass, 'panorama'>, pack: ModelPack): Panorama | undefined {
  const [trained] = pack.trainedSizes;
  const window = pack.sizing === 'trained' && trained ? Math.min(...trained) / pack.latent.downscale : 64;
  return panorama && { circular: panorama.circular, window, stride: Math.max(1, window / 8) };
}

/** Of a tile's side: what it shares with its neighbour where nothing else is asked for. */
const OVERLAP = 0.25;

/**
 * The windows of a pass that is to be denoised in tiles; undefined where one holds all of it.
 * @param tiles in pixels; by default tiles of the size that the model was trained for
 * @throws AppError `invalid_request` for tiles that do not advance
 */
export function tilesOf(
  { latent, weights, trainedSizes }: ModelPack,
  { height, width }: LatentShape,
  tiles?: Pass['tiles'],
): Panorama | undefined {
  const { downscale, sizeMultiple } = latent;
  const size = tiles?.size ?? Math.max(...trainedSizes.flat());
  const overlap = tiles?.overlap ?? size * OVERLAP;
  if (!(size > 0 && overlap >= 0 && overlap < size)) {
    throw new AppError(
      'invalid_request',
      `Tiles of ${size} pixels cannot overlap by ${overlap}. Choose a smaller overlap.`,
    );
  }
  const multiple = weights === 'onnx' ? sizeMultiple : downscale;
  const window = (Math.ceil(size / multiple) * multiple) / downscale;
  if (height <= window && width <= window) return undefined;
  return { circular: false, window, stride: Math.max(1, window - Math.ceil(overlap / downscale)) };
}

/** In which windows a pass is denoised as it asks for it; undefined for the whole of its latents at once. */
export function windowsOf(spec: Pass, pack: ModelPack, shape: LatentShape): Panorama | undefined {
  return panoramaOf(spec, pack) ?? (spec.tiles && tilesOf(pack, shape, spec.tiles));
}

/** Whether a UNet takes latents of other sizes than one. */
export function takesAnySize(unet: Session): boolean {
  return unet
    .inputDims('sample')
    .slice(2)
    .every((side) => typeof side === 'string');
}

/** The latents that the network sees of a panorama at a time. */
export function windowOf(shape: LatentShape, { circular, window }: Panorama): LatentShape {
  const reach = circular ? 2 * shape.width : shape.width;
  return { ...shape, height: Math.min(window, shape.height), width: Math.min(window, reach) };
}

/** Pixels of a latent cell, as {@link panoramaViews} counts. */
const DOWNSCALE = 8;

/**
 * MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113): the network runs on windows of the latents, and where they overlap
 * its outputs count equally. diffusers' StableDiffusionPanoramaPipeline takes the sampler's step for each window and the mean
 * of the results; steps are linear in the network's output, so the mean of the outputs leads to the same.
 */
export function createPanoramaDenoiser(network: GuidedUnet, options: Panorama): CpuDenoiser {
  const { shape } = network;
  const views = viewsOf(shape, options);
  const denoisers = views.map((view) => createCpuDenoiser(networkOf(network, view)));
  const counts = new Float32Array(shape.height * shape.width);
  for (const view of views)
    addCells(counts, cut(new Float32Array(counts.length).fill(1), shape, view), shape, view);

  return async (input, instruction, call) => {
    const guided = new Float32Array(input.length);
    const unconditional =
      instruction.unconditionalTo === undefined ? undefined : new Float32Array(input.length);
    for (const [index, view] of views.entries()) {
      const output = await denoisers[index]?.(cut(input, shape, view), instruction, call);
      if (!output) continue;
      addCells(guided, output.guided, shape, view);
      if (unconditional && output.unconditional) addCells(unconditional, output.unconditional, shape, view);
    }
    for (const sums of [guided, ...(unconditional ? [unconditional] : [])]) {
      sums.forEach((sum, i) => (sums[i] = sum / (counts[i % counts.length] ?? 1)));
    }
    return unconditional ? { guided, unconditional } : { guided };
  };
}

/**
 * Runs the network on all of the latents as long as memory lasts, and from then on in windows.
 * @param onWindows called when it does not last
 */
export function createFallbackDenoiser(
  network: GuidedUnet,
  windows: Panorama,
  onWindows: () => void,
): CpuDenoiser {
  let inWindows: CpuDenoiser | undefined;
  const whole = createCpuDenoiser(network);
  const tiled: CpuDenoiser = (...call) => {
    if (!inWindows) onWindows();
    inWindows ??= createPanoramaDenoiser(network, windows);
    return inWindows(...call);
  };
  return (...call) =>
    inWindows
      ? tiled(...call)
      : inLessMemory(
          () => whole(...call),
          () => tiled(...call),
        );
}

/** diffusers leaves the part that the last window does not reach empty; here one more window covers it. */
function viewsOf(shape: LatentShape, options: Panorama): View[] {
  const { height, width } = shape;
  const { circular, window, stride } = options;
  const seen = windowOf(shape, options);
  const reach = (side: number) =>
    side > window ? window + Math.ceil((side - window) / stride) * stride : side;
  const panorama = {
    width: (circular ? width : reach(width)) * DOWNSCALE,
    height: reach(height) * DOWNSCALE,
  };
  return panoramaViews(panorama, { circular, windowSize: window, stride }).map(({ x1, y1 }) => {
    const top = Math.max(0, Math.min(y1, height - window));
    const left = circular ? x1 : Math.max(0, Math.min(x1, width - window));
    return {
      rows: range(top, top + seen.height),
      columns: range(left, left + seen.width).map((x) => x % width),
    };
  });
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

const SMOOTH = { mode: 'bilinear', antialias: false } as const;

/** The network with all that belongs to places cut to the window. */
function networkOf(network: GuidedUnet, view: View): GuidedUnet {
  const { shape, extra, inpaintFeature, controls, imagePrompts = [] } = network;
  const pixels = { width: shape.width * DOWNSCALE, height: shape.height * DOWNSCALE };
  const cutRegion = (region: Planes) => cutImage(interpolate(region, pixels, SMOOTH), shape, view);
  return {
    ...network,
    shape: { ...shape, height: view.rows.length, width: view.columns.length },
    extra: extra && { ...extra, data: cut(extra.data, shape, view) },
    inpaintFeature: inpaintFeature && {
      ...inpaintFeature,
      data: cut(inpaintFeature.data, shape, view),
    },
    imagePrompts: imagePrompts.map(({ images: [first, ...others], ...group }) => {
      const cutShown = ({ region, ...image }: typeof first) => ({
        ...image,
        ...(region && { region: cutRegion(region) }),
      });
      return { ...group, images: [cutShown(first), ...others.map(cutShown)] };
    }),
    controls: controls.map(({ images, region, restoration, ...control }) => {
      const [whole] = images;
      return {
        ...control,
        images: images.map((image) => cutImage(image, shape, view)),
        region: region && whole && cutImage(interpolate(region, whole, SMOOTH), shape, view),
        restoration: restoration && {
          ...restoration,
          latents: cut(restoration.latents, shape, view),
          cells: cut(restoration.cells, shape, view),
        },
      };
    }),
  };
}

/** The part of a control image that belongs to a window, which is larger than the latents by a whole factor. */
function cutImage({ channels, data, ...image }: Planes, shape: LatentShape, { rows, columns }: View): Planes {
  const factor = image.width / shape.width;
  const spread = (cells: readonly number[]) =>
    cells.flatMap((cell) => range(0, factor).map((i) => cell * factor + i));
  const view = { rows: spread(rows), columns: spread(columns) };
  return { channels, height: view.rows.length, width: view.columns.length, data: cut(data, image, view) };
}

/** Planes, image after image, cut to the window. */
function cut(
  planes: Float32Array,
  { height, width }: Pick<LatentShape, 'height' | 'width'>,
  { rows, columns }: View,
): Float32Array {
  const count = planes.length / (height * width);
  const result = new Float32Array(count * rows.length * columns.length);
  let to = 0;
  for (let plane = 0; plane < count; plane++) {
    for (const row of rows) {
      const start = (plane * height + row) * width;
      for (const column of columns) result[to++] = planes[start + column] ?? 0;
    }
  }
  return result;
}

/** Adds a window's planes where they are from. */
function addCells(
  sums: Float32Array,
  part: Float32Array,
  { height, width }: LatentShape,
  { rows, columns }: View,
): void {
  const count = sums.length / (height * width);
  let from = 0;
  for (let plane = 0; plane < count; plane++) {
    for (const row of rows) {
      const start = (plane * height + row) * width;
      for (const column of columns) sums[start + column] = (sums[start + column] ?? 0) + (part[from++] ?? 0);
    }
  }
}
