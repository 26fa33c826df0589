import { AppError } from '#protocol/error.ts';
import type { TensorSource } from './tensor-source.ts';

/** The tensors of several sources as one; of those with the same name, the last source's. */
export function joinTensors(sources: readonly TensorSource[]): TensorSource {
  const [only] = sources;
  if (only && sources.length === 1) return only;
  const holders = new Map<string, TensorSource>();
  for (const source of sources) for (const name of source.names()) holders.set(name, source);
  return {
    names: () => holders.keys(),
    info: (name) => holders.get(name)?.info(name),
    read: (name) =>
      holders.get(name)?.read(name) ??
      Promise.reject(new AppError('not_found', `The weights have no tensor "${name}".`)),
    location: (name) => holders.get(name)?.location?.(name),
  };
}
