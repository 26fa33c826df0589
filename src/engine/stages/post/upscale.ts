import type { LoadedUpscaler } from '#engine/models/upscalers.ts';
import { crop, nearest, stretch, type Pixels } from '#engine/stages/pixels/resize.ts';
import { toPlanes } from '#engine/stages/pixels/tiles.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { isStopped, type RunContext } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { AppError } from '#protocol/error.ts';
import type { Size, UpscalerName, UpscaleSize, UpscaleStep } from '#protocol/job.ts';
import { requirementsOfStep } from '#protocol/tasks.ts';
import type { PreparedStep } from './post.ts';
import { cutTile, placeTile, planTiles } from './upscale-tiles.ts';

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

/**
 * Prepares an upscaling step of a job; its networks are loaded when the first image comes. Behaves as A1111's extras
 * (scripts/postprocessing_upscale.py, modules/upscaler.py, modules/upscaler_utils.py).
 * @returns the step: null when it was stopped. Throws AppError `invalid_request` for what would become too large,
 *   `unsupported_feature` for upscalers that cannot be run, and what the runtime throws
 * @throws AppError `model_not_found` for an upscaler that is not installed
 */
export function prepareUpscaling(run: RunContext, step: UpscaleStep): PreparedStep {
  const packs = requirementsOfStep(step).map(({ id }) => ({ id, pack: findAddOn(run, 'upscaler', id) }));
  let side: number = TILE_SIDE[run.runtime.backend.provider];

  async function loadNetworks({ upscalers, addOns, progress }: RunContext): Promise<Networks> {
    if (packs.length === 0) return new Map();
    progress.loading();
    const loaded = await upscalers.load(
      packs.map(({ pack }) => pack),
      addOns,
    );
    return new Map(loaded.map((network, i) => [packs[i]?.id ?? '', network]));
  }

  return async (context, source) => {
    if (step.upscaler === 'None') return source;
    const target = targetOf(source, step.size);
    const networks = await loadNetworks(context);
    // The same again with smaller tiles, as long as memory runs out.
    for (;;) {
      try {
        return await upscale(context, step, { source, target, networks, side });
      } catch (thrown) {
        const isTooLarge = thrown instanceof AppError && thrown.code === 'out_of_memory';
        if (!isTooLarge || networks.size === 0 || side <= SMALLEST_TILE) throw thrown;
        side = Math.max(SMALLEST_TILE, side / 2);
      }
    }
  };
}

type Networks = ReadonlyMap<UpscalerName, LoadedUpscaler>;

interface Upscaling {
  source: Pixels;
  target: Target;
  networks: Networks;
  /** Of the tiles, in pixels. */
  side: number;
}

/** Null when it was stopped. */
async function upscale(
  run: RunContext,
  step: UpscaleStep,
  { source, target, networks, side }: Upscaling,
): Promise<Pixels | null> {
  const plans = upscalersOf(step).map((name) => planPasses(networks.get(name), name, source, target, side));
  run.progress.upscaling(
    plans.flatMap(({ passes }) => passes).reduce((sum, { tiles }) => sum + tiles.length, 0),
  );
  let tilesDone = 0;
  const finishTile = async () => {
    run.progress.tile(++tilesDone);
    await yieldToEvents();
    return !isStopped(run);
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
  const blended = second ? blend(first, second, step.second?.visibility ?? 0) : first;
  return target.cropped ? crop(blended, target.cropped) : blended;
}

/** The upscalers whose images are seen. */
function upscalersOf({ upscaler, second }: UpscaleStep): UpscalerName[] {
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

/** @param goOn called after each tile; answers whether the job goes on. @returns null when it does not */
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
