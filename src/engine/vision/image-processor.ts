import { isRecord } from '#codecs/json.ts';
import type { Size } from '#protocol/job.ts';
import type { ConfigFile } from '#protocol/model.ts';
import type { Normalisation } from './image-network.ts';

/** How a network of transformers wants to see images. */
export interface ImageProcessor extends Normalisation {
  size: ImageSize;
  filter: 'lanczos' | 'bilinear' | 'bicubic';
}

/** Exactly so large, or with the image's proportions: the shorter side so long, but the longer one no longer than that. */
export type ImageSize = Size | { shortest: number; longest: number };

/** Pillow's numbers of its filters. */
const FILTERS: Readonly<Record<number, ImageProcessor['filter']>> = {
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
};

/**
 * What a `preprocessor_config.json` says.
 * @param otherwise what counts where it says nothing
 */
export function readImageProcessor(
  config: ConfigFile | undefined,
  otherwise: ImageProcessor,
): ImageProcessor {
  const { size, resample, image_mean: mean, image_std: std } = config ?? {};
  return {
    size: readSize(size) ?? otherwise.size,
    filter: FILTERS[Number(resample)] ?? otherwise.filter,
    mean: isNumbers(mean) ? mean : otherwise.mean,
    std: isNumbers(std) ? std : otherwise.std,
  };
}

/** The size that an image is given. Source: transformers, image_transforms.py, `get_size_with_aspect_ratio`. */
export function sizeFor({ width, height }: Size, size: ImageSize): Size {
  if (!('shortest' in size)) return size;
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  // The longer side decides where it would become too long.
  const limited = (size.longest * shorter) / longer;
  const isLimited = limited < size.shortest;
  const side = isLimited ? Math.round(limited) : size.shortest;
  const other = Math.trunc(((isLimited ? limited : side) * longer) / shorter);
  return width < height ? { width: side, height: other } : { width: other, height: side };
}

function readSize(size: unknown): ImageSize | undefined {
  if (typeof size === 'number') return { width: size, height: size };
  if (isNumbers(size)) return { width: size[1] ?? size[0] ?? 0, height: size[0] ?? 0 };
  if (!isRecord(size)) return undefined;
  const { width, height, shortest_edge: shortest, longest_edge: longest } = size;
  if (typeof width === 'number' && typeof height === 'number') return { width, height };
  return typeof shortest === 'number'
    ? { shortest, longest: typeof longest === 'number' ? longest : Infinity }
    : undefined;
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((each: unknown) => typeof each === 'number');
}
