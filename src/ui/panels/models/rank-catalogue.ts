import { guessSpeed, readSpeed, workOf } from '#protocol/device-speed.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { CatalogueEntry } from '#protocol/import.ts';
import type { Settings } from '#protocol/settings.ts';

/** An entry of the catalogue as this device sees it. */
export interface RankedEntry {
  entry: CatalogueEntry;
  /** Seconds for an image; null for add-ons, and where the work is not known. */
  seconds: number | null;
  /** Why it does not run here; null where it does, or where that is not known yet. */
  obstacle: string | null;
}

export interface RankedCatalogue {
  /** Models, the fastest first, then add-ons as the catalogue has them. */
  running: readonly RankedEntry[];
  /** What this device cannot run. */
  impossible: readonly RankedEntry[];
  /** Whether the times follow from a measurement of this device. */
  isMeasured: boolean;
}

/** The device that is assumed before the engine has started. */
export interface Surroundings {
  backend: BackendInfo | null;
  hasGpu: boolean;
  cores: number;
}

/** Sorts the catalogue by how well its entries run on this device. */
export function rankCatalogue(
  entries: readonly CatalogueEntry[],
  settings: Settings,
  { backend, hasGpu, cores }: Surroundings,
): RankedCatalogue {
  const measured = backend && readSpeed(settings, backend);
  const speed = measured ?? guessSpeed(backend ?? { provider: hasGpu ? 'webgpu' : 'wasm' }, cores);
  const ranked = entries.map((entry): RankedEntry => {
    const work = entry.values && entry.family && workOf(entry.family, entry.values);
    const lacksFloat16 = entry.needsFloat16 && backend !== null && !backend.float16;
    return {
      entry,
      seconds: work === null ? null : work / speed,
      obstacle: lacksFloat16 ? 'Needs float16, which this device does not have.' : null,
    };
  });
  const running = ranked.filter(({ obstacle }) => obstacle === null);
  return {
    running: running.toSorted((a, b) => orderOf(a) - orderOf(b)),
    impossible: ranked.filter(({ obstacle }) => obstacle !== null),
    isMeasured: measured !== null,
  };
}

/** Models by their time; those whose time is not known after them, then add-ons, which the sort leaves in their order. */
function orderOf({ entry, seconds }: RankedEntry): number {
  return entry.kind === 'model' ? (seconds ?? Number.MAX_VALUE / 2) : Number.MAX_VALUE;
}
