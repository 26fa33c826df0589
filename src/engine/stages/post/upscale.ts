import type { LoadedUpscaler } from '#engine/models/upscalers.ts';
import { cutMiddle } from '#engine/stages/pixels/cut-middle.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { isStopped, type RunContext } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { blend } from '#imaging/pillow/blend.ts';
import { resizeNearest } from '#imaging/pillow/nearest.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import type { Size, UpscalerName, UpscaleSize, UpscaleStep } from '#protocol/job.ts';
import { requirementsOfStep } from '#protocol/tasks.ts';
import type { PreparedStep } from './post.ts';
import { checkSize, createTileRunner, planNetworkTiles, runInTiles } from './run-network.ts';
import type { UpscaleTile } from './upscale-tiles.ts';

/** How often a network is run on its own result; A1111, modules/upscaler.py. */
const MOST_PASSES = 3;

/**
 * Prepares an upscaling step of a job; its networks are loaded when the first image comes. Behaves as A1111's extras
 * (scripts/postprocessing_upscale.py, modules/upscaler.py, modules/upscaler_utils.py).
 * @returns the step: null when it was stopped. Throws AppError `invalid_request` for what would become too large,
 *   `unsupported_feature` for upscalers that cannot be run, and what the runtime throws
 * @throws AppError `model_not_found` for an upscaler that is not installed
 */
export function prepareUpscaling(run: RunContext, step: UpscaleStep): PreparedStep {
  const packs = requirementsOfStep(step).map(({ id }) => ({ id, pack: findAddOn(run, 'upscaler', id) }));
  const inTiles = createTileRunner(run.runtime.backend.provider);

  async function loadNetworks({ upscalers, addOns, progress }: RunContext): Promise<Networks> {
    if (packs.length === 0) return new Map();
    progress.loading();
    const loaded = await upscalers.load(
      packs.map(({ pack }) => pack),
      addOns,
    );
    return new Map(loaded.map((network, i) => [packs[i]?.id ?? '', network]));
  }

  return async (context, { pixels: source }) => {
    if (step.upscaler === 'None') return source;
    const target = targetOf(source, step.size);
    const networks = await loadNetworks(context);
    return inTiles((side) => upscale(context, step, { source, target, networks, side }));
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
  const plans = upscalersOf(step).map((name) =>
    planPasses(name, {
      source,
      target,
      side,
      network: networks.get(name),
      provider: run.runtime.backend.provider,
    }),
  );
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
    results.push(
      name === 'Nearest' ? resizeNearest(image, target.scaled) : resize(image, target.scaled, 'lanczos'),
    );
  }
  const [first = source, second] = results;
  const blended = second ? blend(first, second, step.second?.visibility ?? 0) : first;
  return target.cropped ? cutMiddle(blended, target.cropped) : blended;
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
  if (!('factor' in size) && size.stretch === true) {
    const scaled = { width: size.width, height: size.height };
    checkSize(scaled);
    return { factor, scaled, cropped: null };
  }
  // 1024 / 49 · 49 is not quite 1024.
  const round = (side: number) => Math.floor((side * factor) / 8 + 1e-9) * 8;
  const scaled = {
    width: Math.max(round(source.width), cropped?.width ?? 0),
    height: Math.max(round(source.height), cropped?.height ?? 0),
  };
  if (scaled.width === 0 || scaled.height === 0) {
    throw new AppError(
      'invalid_request',
      'The upscaled image would have a side below 8 pixels. Choose a larger size.',
    );
  }
  checkSize(scaled);
  return { factor, scaled, cropped };
}

/** One run of a network over a whole image. */
interface Pass {
  tiles: readonly UpscaleTile[];
}

interface UpscalerRun {
  network: LoadedUpscaler | undefined;
  source: Size;
  target: Target;
  side: number;
  provider: BackendInfo['provider'];
}

/** What an upscaler does: its network, again until the image is large enough. */
function planPasses(
  name: UpscalerName,
  { network, source, target: { scaled }, side, provider }: UpscalerRun,
): { name: UpscalerName; network: LoadedUpscaler | undefined; passes: Pass[] } {
  const passes: Pass[] = [];
  let { width, height } = source;
  while (network && passes.length < MOST_PASSES) {
    passes.push({ tiles: planNetworkTiles(network, { width, height }, side, provider) });
    width *= network.factor;
    height *= network.factor;
    checkSize({ width, height });
    if (network.factor === 1 || (width >= scaled.width && height >= scaled.height)) break;
  }
  return { name, network, passes };
}
