import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import type { AddOns } from './add-ons.ts';
import { builtAddOn } from './built.ts';
import type { PreparedNetwork } from './networks.ts';
import { createSessionCache } from './session-cache.ts';

/** An upscaling network: `image` float32 [1, 3, height, width] in 0 … 1 to `upscaled`, `factor` times as large. */
export interface LoadedUpscaler {
  pack: AddOnPack;
  session: Session;
  factor: number;
  /** Sides of what it is given are multiples of this many pixels. */
  sideMultiple: number;
}

/** Upscaling networks on a runtime. */
export interface Upscalers {
  /**
   * Opens these networks, in their order; those given out before may be released by it.
   * @throws AppError `unsupported_feature` for networks of no known kind, and what the runtime throws
   */
  load(packs: readonly AddOnPack[], addOns: AddOns): Promise<LoadedUpscaler[]>;
  release(): Promise<void>;
}

interface PreparedUpscaler extends Omit<LoadedUpscaler, 'session'> {
  network: PreparedNetwork;
}

/** Opens upscalers on a runtime on demand, and keeps them as far as memory allows. */
export function createUpscalers(runtime: Runtime): Upscalers {
  const cache = createSessionCache();

  async function prepare(pack: AddOnPack, addOns: AddOns): Promise<PreparedUpscaler> {
    const { networks, configs } = await builtAddOn(pack, addOns.files(pack), null, runtime);
    const config = configs.get('upscaler');
    const factor = config?.['scale'];
    const sideMultiple = config?.['pixel_unshuffle'];
    if (typeof factor !== 'number' || typeof sideMultiple !== 'number' || !isForColours(config ?? {})) {
      throw new AppError(
        'unsupported_feature',
        `${pack.title} is not an upscaler for colour images. Choose another one.`,
        {
          detail: { model: pack.id },
        },
      );
    }
    return {
      pack,
      factor,
      sideMultiple,
      network: networks.prepare('upscaler', { loras: [], unet: {} }),
    };
  }

  return {
    async load(packs, addOns) {
      const prepared = await Promise.all(packs.map((pack) => prepare(pack, addOns)));
      const sessions = await cache.open(prepared.map(({ network }) => network));
      return prepared.flatMap(({ pack, factor, sideMultiple }, index) => {
        const session = sessions[index];
        return session ? [{ pack, factor, sideMultiple, session }] : [];
      });
    },
    release: () => cache.release(),
  };
}

function isForColours(config: Readonly<Record<string, unknown>>): boolean {
  return config['num_in_ch'] === 3 && config['num_out_ch'] === 3;
}
