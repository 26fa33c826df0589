import { isRecord } from '#codecs/json.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { ConfigFile, AddOnPack } from '#protocol/model.ts';
import type { Size } from '#protocol/job.ts';
import { IMAGENET, namedSize, runOnImage, toInput, type Normalisation } from './image-network.ts';
import { openVisionNetwork } from './open-network.ts';

/** What a depth network wants, where neither its graph nor its configuration says it, by its `network`. */
interface DepthInput extends Normalisation {
  side: number;
  /** Sides are multiples of this. */
  multiple: number;
  keepsAspect: boolean;
}

const DEPTH_ANYTHING: DepthInput = { ...IMAGENET, side: 518, multiple: 14, keepsAspect: true };
const MIDAS: DepthInput = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  side: 384,
  multiple: 32,
  keepsAspect: false,
};

/**
 * How near each pixel is, by an imported Depth Anything or MiDaS. Source of sizes and constants: the `preprocessor_config.json`
 * of LiheYoung/depth-anything-small-hf and Intel/dpt-hybrid-midas, and transformers' DPTImageProcessor.
 * @param rgb of any size
 * @returns one channel, as large as the image; nearer is more, on the network's own scale
 * @throws AppError `unsupported_feature` for a network of another form, and what the runtime throws
 */
export async function estimateDepth(run: RunContext, pack: AddOnPack, rgb: Pixels): Promise<Planes> {
  const session = await openVisionNetwork(run, pack);
  const config = await run.addOns.files(pack).findJson('preprocessor_config.json');
  const input = readConfig(config, pack.network === 'midas' ? MIDAS : DEPTH_ANYTHING);
  const size = namedSize(session) ?? sizeFor(rgb, input);
  const depth = await runOnImage(pack, session, toInput(resize(rgb, size, 'bicubic'), input));
  return interpolate(depth, rgb, { mode: 'bicubic', antialias: false });
}

/** Source: transformers, models/dpt/image_processing_dpt.py, `get_resize_output_image_size`. */
function sizeFor({ width, height }: Size, { side, multiple, keepsAspect }: DepthInput): Size {
  const scales = [side / width, side / height];
  const [across = 1, down = 1] = keepsAspect ? scales.map(() => leastChange(scales)) : scales;
  const toMultiple = (pixels: number) => Math.max(multiple, Math.round(pixels / multiple) * multiple);
  return { width: toMultiple(width * across), height: toMultiple(height * down) };
}

function leastChange(scales: readonly number[]): number {
  return scales.reduce((a, b) => (Math.abs(1 - a) < Math.abs(1 - b) ? a : b));
}

function readConfig(config: ConfigFile | undefined, otherwise: DepthInput): DepthInput {
  if (!config) return otherwise;
  const { size, image_mean: mean, image_std: std, ensure_multiple_of: multiple } = config;
  const side = readSide(size);
  return {
    mean: isTriple(mean) ? mean : otherwise.mean,
    std: isTriple(std) ? std : otherwise.std,
    side: side ?? otherwise.side,
    multiple: typeof multiple === 'number' && multiple > 0 ? multiple : otherwise.multiple,
    keepsAspect:
      typeof config['keep_aspect_ratio'] === 'boolean' ? config['keep_aspect_ratio'] : otherwise.keepsAspect,
  };
}

function readSide(size: unknown): number | undefined {
  const side = isRecord(size) ? size['height'] : size;
  return typeof side === 'number' && side > 0 ? side : undefined;
}

function isTriple(value: unknown): value is number[] {
  return (
    Array.isArray(value) && value.length === 3 && value.every((part: unknown) => typeof part === 'number')
  );
}
