import type { LoadedUpscaler } from '#engine/models/upscalers.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { isStopped, type RunContext } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { filterUpscalers, type UpscalePass } from '#imaging/a1111/upscaler.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { PLAIN_UPSCALERS, type UpscalerName } from '#protocol/job.ts';
import { checkSize, createTileRunner, planNetworkTiles, runInTiles } from './run-network.ts';

/**
 * What makes an image larger on its way to a pass: a filter, or a network that is loaded for it.
 * @returns null for `None`, which leaves the work to the resizer. A network that is stopped leaves the image unchanged.
 * @throws AppError `model_not_found` for an upscaler that is not installed, `unsupported_feature` for one that cannot run
 */
export async function openUpscalePass(run: RunContext, name: UpscalerName): Promise<UpscalePass | null> {
  const plain = PLAIN_UPSCALERS.find((each) => each === name);
  if (plain === 'None') return null;
  if (plain !== undefined) return filterUpscalers[plain];
  run.progress.loading();
  const [network] = await run.upscalers.load([findAddOn(run, 'upscaler', name)], run.addOns);
  return network ? networkPass(run, network) : null;
}

function networkPass(run: RunContext, network: LoadedUpscaler): UpscalePass {
  const { provider } = run.runtime.backend;
  const inTiles = createTileRunner(provider);
  return async (image) => {
    checkSize({ width: image.width * network.factor, height: image.height * network.factor });
    const upscaled = await inTiles(async (side) => {
      const tiles = planNetworkTiles(network, image, side, provider);
      run.progress.upscaling(tiles.length);
      let done = 0;
      return runInTiles(network, toRgb(image), tiles, async () => {
        run.progress.tile(++done);
        await yieldToEvents();
        return !isStopped(run);
      });
    });
    return upscaled ?? image;
  };
}
