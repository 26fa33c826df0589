import { readImageText } from '#codecs/image-text.ts';
import { parseInfotext, upscalePairs, writePairs } from '#codecs/infotext.ts';
import type { AddOns } from '#engine/models/add-ons.ts';
import type { LoadedUpscaler, Upscalers } from '#engine/models/upscalers.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import {
  networkUpscalersOf,
  type GeneratedImage,
  type UpscaleJob,
  type UpscalerName,
  type UpscaleSize,
  type UpscaleSource,
} from '#protocol/job.ts';
import type { Size } from './draw-size.ts';
import { encodeImage } from './encode-image.ts';
import { createProgress } from './progress.ts';
import { readImage } from './read-image.ts';
import { crop, nearest, stretch, type Pixels } from './resize.ts';
import { toPlanes } from './tiles.ts';
import type { RunControl } from './draw.ts';
import { cutTile, placeTile, planTiles } from './upscale-tiles.ts';
import { yieldToEvents } from './yield-to-events.ts';

/** Pixels of an image under way or finished: 268 MB of bytes, and as much again while it becomes a file. */
const MOST_PIXELS = 8192 * 8192;

/** How often a network is run on its own result; A1111, modules/upscaler.py. */
const MOST_PASSES = 3;

/**
 * Sides of tiles in pixels. On the CPU a tile of 64 takes seconds, and whoever stops a job waits for the tile; on the GPU
 * larger ones waste less on overlaps, and the network's widest tensor stays within 128 MB, the least a WebGPU binding has.
 */
const TILE_SIDE = { wasm: 64, webgpu: 128 } as const;

/** Tiles shrink to this where memory runs out. */
const SMALLEST_TILE = 32;

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * Upscales the images of a job, one after the other; finished ones are handed over as they come. Behaves as A1111's extras
 * (modules/postprocessing.py, scripts/postprocessing_upscale.py, modules/upscaler.py, modules/upscaler_utils.py).
 * @throws AppError `invalid_request` for what is no image or would become too large, `model_not_found` for an upscaler that
 *   is not installed, `unsupported_feature` for one that cannot be run, and what the runtime throws
 */
export async function upscaleImages(
  runtime: Runtime,
  upscalers: Upscalers,
  addOns: AddOns,
  job: UpscaleJob,
  control: RunControl,
  emit: (event: EngineEvent) => void,
): Promise<RunOutcome> {
  const names = networkUpscalersOf(job);
  const loaded = await upscalers.load(
    names.map((id) => findUpscaler(id, addOns)),
    addOns,
  );
  const networks = new Map<UpscalerName, LoadedUpscaler>(
    loaded.map((network, i) => [names[i] ?? '', network]),
  );
  const progress = createProgress(job.sources.length, (state) => emit({ type: 'progress', progress: state }));
  const stopped = () => control.cancelled || control.skipped;
  let side: number = TILE_SIDE[runtime.backend.provider];

  /** Null when the job was stopped. */
  async function upscale(source: Pixels, target: Target): Promise<Pixels | null> {
    const plans = upscalersOf(job).map((name) => planPasses(networks.get(name), name, source, target, side));
    progress.upscaling(
      plans.flatMap(({ passes }) => passes).reduce((sum, { tiles }) => sum + tiles.length, 0),
    );
    let tilesDone = 0;
    const finishTile = async () => {
      progress.step(++tilesDone, 1);
      await yieldToEvents();
      return !stopped();
    };
    const results: Pixels[] = [];
    for (const { name, network, passes } of plans) {
      let image: Pixels | null = source;
      for (const { tiles } of passes) {
        if (network && image) image = await runInTiles(network, image, tiles, finishTile);
      }
      if (!image) return null;
      results.push(name === 'Nearest' ? nearest(image, target.scaled) : await stretch(image, target.scaled));
    }
    const [first = source, second] = results;
    const blended = second ? blend(first, second, job.second?.visibility ?? 0) : first;
    return target.cropped ? crop(blended, target.cropped) : blended;
  }

  /** The same again with smaller tiles, as long as memory runs out. */
  async function upscaleWithinMemory(source: Pixels, target: Target): Promise<Pixels | null> {
    for (;;) {
      try {
        return await upscale(source, target);
      } catch (thrown) {
        const isTooLarge = thrown instanceof AppError && thrown.code === 'out_of_memory';
        if (!isTooLarge || networks.size === 0 || side <= SMALLEST_TILE) throw thrown;
        side = Math.max(SMALLEST_TILE, side / 2);
      }
    }
  }

  for (const [index, source] of job.sources.entries()) {
    await yieldToEvents();
    if (control.cancelled) break;
    control.skipped = false;
    const pixels = await readImage(source.image, BACKGROUND);
    const upscaled =
      job.upscaler === 'None' ? pixels : await upscaleWithinMemory(pixels, targetOf(pixels, job.size));
    if (!upscaled) continue;
    emit({ type: 'image', image: await finish(job, source, index, upscaled) });
    progress.finished();
  }
  return { interrupted: control.cancelled, notes: [] };
}

/** @throws AppError `model_not_found` */
function findUpscaler(id: string, addOns: AddOns) {
  const found = addOns.find('upscaler', id);
  if (found) return found;
  throw new AppError('model_not_found', `The upscaler “${id}” is not installed.`, { detail: { model: id } });
}

/** The upscalers whose images are seen. */
function upscalersOf({ upscaler, second }: UpscaleJob): UpscalerName[] {
  const isSeen = second !== undefined && second.upscaler !== 'None' && second.visibility > 0;
  return isSeen ? [upscaler, second.upscaler] : [upscaler];
}

/** What an image becomes. */
interface Target {
  factor: number;
  scaled: Size;
  cropped: Size | null;
}

/**
 * Sizes are rounded down to multiples of 8, and where they are cropped not below what is left. A1111 leaves a black rim there.
 * @throws AppError `invalid_request` for results without a pixel or with too many
 */
function targetOf(source: Size, size: UpscaleSize): Target {
  const cropped = 'factor' in size || !size.crop ? null : { width: size.width, height: size.height };
  const factor =
    'factor' in size ? size.factor : Math.max(size.width / source.width, size.height / source.height);
  // 1024 / 49 · 49 is not quite 1024.
  const round = (side: number) => Math.floor((side * factor) / 8 + 1e-9) * 8;
  const scaled = {
    width: Math.max(round(source.width), cropped?.width ?? 0),
    height: Math.max(round(source.height), cropped?.height ?? 0),
  };
  if (scaled.width === 0 || scaled.height === 0) {
    throw new AppError('invalid_request', 'The image would have a side of less than 8 pixels.');
  }
  checkSize(scaled);
  return { factor, scaled, cropped };
}

/** @throws AppError `invalid_request` for more pixels than there is memory for */
function checkSize({ width, height }: Size): void {
  if (width * height <= MOST_PIXELS) return;
  const megapixels = (pixels: number) => String(Math.round(pixels / 2 ** 20));
  throw new AppError(
    'invalid_request',
    `On its way the image would have ${String(width)} × ${String(height)} pixels: more than ${megapixels(MOST_PIXELS)} megapixels are too many. Choose a smaller size.`,
  );
}

/** One run of a network over a whole image. */
interface Pass {
  tiles: ReturnType<typeof planTiles>;
}

/** What an upscaler does: its network, again until the image is large enough. */
function planPasses(
  network: LoadedUpscaler | undefined,
  name: UpscalerName,
  source: Size,
  { scaled }: Target,
  side: number,
): { name: UpscalerName; network: LoadedUpscaler | undefined; passes: Pass[] } {
  const passes: Pass[] = [];
  let { width, height } = source;
  while (network && passes.length < MOST_PASSES) {
    passes.push({ tiles: planTiles({ width, height }, side, network.sideMultiple) });
    width *= network.factor;
    height *= network.factor;
    checkSize({ width, height });
    if (network.factor === 1 || (width >= scaled.width && height >= scaled.height)) break;
  }
  return { name, network, passes };
}

/** @param goOn told after each tile; answers whether the job goes on. @returns null when it does not */
async function runInTiles(
  { session, factor }: LoadedUpscaler,
  image: Pixels,
  tiles: Pass['tiles'],
  goOn: () => Promise<boolean>,
): Promise<Pixels | null> {
  const [width, height] = [image.width * factor, image.height * factor];
  const output: Pixels = { width, height, data: new Uint8ClampedArray(width * height * 4) };
  for (const tile of tiles) {
    const part = cutTile(image, tile);
    const { upscaled } = await session.run({
      image: { type: 'float32', data: part.data, dims: [1, part.channels, part.height, part.width] },
    });
    const planes = toPlanes(upscaled, 'upscaler');
    if (!planes.data.every(Number.isFinite))
      throw new AppError('not_a_number', 'The image came out as numbers that are none.');
    placeTile(planes, tile, factor, output);
    if (!(await goOn())) return null;
  }
  return output;
}

/** One image seen through another of the same size, cut to whole numbers as Pillow's `Image.blend`. */
function blend(below: Pixels, above: Pixels, visibility: number): Pixels {
  const { width, height } = below;
  const data = new Uint8ClampedArray(below.data.length);
  for (let i = 0; i < data.length; i++) {
    const value = below.data[i] ?? 0;
    data[i] = Math.floor(value + visibility * ((above.data[i] ?? 0) - value));
  }
  return { width, height, data };
}

async function finish(
  job: UpscaleJob,
  { image, known }: UpscaleSource,
  index: number,
  pixels: Pixels,
): Promise<GeneratedImage> {
  const texts = await readTexts(image);
  const postprocessing = writePairs(upscalePairs(job));
  const parameters = known?.infotext ?? texts['parameters'] ?? '';
  const { prompt, negativePrompt, parameters: pairs } = parseInfotext(parameters);
  const facts = new Map(pairs);
  const written = { ...texts, ...(postprocessing !== '' && { postprocessing }) };
  return {
    index,
    blob: await encodeImage(pixels, job.output, job.output.texts ? written : {}),
    width: pixels.width,
    height: pixels.height,
    seed: known?.seed ?? readSeed(facts.get('Seed')),
    subseed: readSeed(facts.get('Variation seed')),
    prompt: [known?.prompt ?? prompt],
    negativePrompt: [negativePrompt],
    infotext: [parameters, postprocessing].filter((text) => text !== '').join(pairs.length > 0 ? ', ' : '\n'),
  };
}

/** Files of which no texts can be read have none. */
async function readTexts(image: Blob): Promise<Record<string, string>> {
  try {
    return await readImageText(new Uint8Array(await image.arrayBuffer()));
  } catch {
    return {};
  }
}

function readSeed(text: string | undefined): bigint {
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}
