import { ConfigReader, type ConfigJson } from '#engine/architectures/config.ts';
import { ipAdapterModules } from '#engine/architectures/ip-adapter.ts';
import type { IpAdapterOptions } from '#engine/architectures/unet-2d-condition.ts';
import { joinTensors } from '#weights/join-tensors.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { viewTensors, type TensorView } from '#weights/tensor-views.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack, ModelFamily } from '#protocol/model.ts';
import { packKey } from './add-ons.ts';
import type { HeldFile } from './held-file.ts';
import type { PackFiles } from './pack-files.ts';
import { openWeightFiles } from './weight-files.ts';

/** An IP-Adapter and how much is shown through it. */
export interface ChosenIpAdapter extends IpAdapterOptions {
  pack: AddOnPack;
}

/** An IP-Adapter's keys and values for a UNet, not read yet. */
export interface OpenIpAdapter {
  title: string;
  /** The same for the same weights. */
  key: string;
  source: TensorSource;
  /** As {@link openWeightFiles} names them, with names of their own in one session. */
  files: ReadonlyMap<string, HeldFile>;
}

/**
 * Opens an IP-Adapter by its header.
 * @param index its place among those of a UNet
 * @throws AppError `unsupported_feature` for files of something else; `model_not_found`, `integrity_failed`
 */
export async function openIpAdapter(
  pack: AddOnPack,
  packFiles: PackFiles,
  family: ModelFamily,
  index: number,
): Promise<OpenIpAdapter> {
  const { networks, files } = await openWeightFiles(pack, packFiles, family);
  const source = networks.get('ip_adapter')?.source;
  if (!source) throw new AppError('unsupported_feature', `${pack.title} is not an IP-Adapter.`);
  const renamed = (path: string) => `ip_adapter_${index}/${path}`;
  return {
    title: pack.title,
    key: packKey(pack),
    files: new Map([...files].map(([path, file]) => [renamed(path), file])),
    source: {
      ...source,
      location(name) {
        const location = source.location?.(name);
        return location && { ...location, file: renamed(location.file) };
      },
    },
  };
}

/**
 * A UNet's weights with the keys and values of IP-Adapters, under their names in diffusers.
 * @param config of the UNet
 * @throws AppError `invalid_request` for IP-Adapters made for another UNet
 */
export function withIpAdapters(
  unet: TensorSource,
  config: ConfigJson,
  adapters: readonly OpenIpAdapter[],
): TensorSource {
  const added = adapters.map((adapter, index) =>
    viewTensors(adapter.source, processorViews(unet, config, adapter, index)),
  );
  return joinTensors([unet, ...added]);
}

function processorViews(
  unet: TensorSource,
  config: ConfigJson,
  { title, source }: OpenIpAdapter,
  index: number,
): TensorView[] {
  const misfit = new AppError(
    'invalid_request',
    `The IP-Adapter “${title}” was made for a UNet of another structure. Choose another IP-Adapter.`,
  );
  const modules = ipAdapterModules(config);
  const reader = new ConfigReader(config, 'UNet2DConditionModel');
  const blocks = reader.list('down_block_types').length;
  const width = Math.max(...reader.perBlock('cross_attention_dim', blocks, 1280));
  const numbers = [...source.names()]
    .flatMap((name) => /^ip_adapter\.(\d+)\.to_k_ip\.weight$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  if (numbers.length !== modules.length) throw misfit;
  return modules.flatMap((module, place) =>
    (['to_k', 'to_v'] as const).map((part) => {
      const original = `ip_adapter.${String(numbers[place])}.${part}_ip.weight`;
      const { shape } = source.info(original) ?? {};
      // Quantised weights of the UNet still have as many rows.
      const rows = unet.info(`${module}.${part}.weight`)?.shape[0];
      if (!shape || shape[0] !== rows || shape[1] !== width) throw misfit;
      return { name: `${module}.processor.${part}_ip.${index}.weight`, original, shape };
    }),
  );
}
