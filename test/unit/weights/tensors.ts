import { AppError } from '#protocol/error.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';

/** float32 tensors in memory: `{ name: [shape, values] }`. */
export function tensorsOf(
  tensors: Record<string, readonly [shape: readonly number[], values: readonly number[] | Float32Array]>,
): TensorSource {
  const find = (name: string) => (Object.hasOwn(tensors, name) ? tensors[name] : undefined);
  return {
    names: () => Object.keys(tensors),
    info(name) {
      const tensor = find(name);
      return tensor && { name, type: 'float32', shape: tensor[0] };
    },
    read(name) {
      const tensor = find(name);
      if (!tensor) return Promise.reject(new AppError('not_found', name));
      return Promise.resolve(new Uint8Array(Float32Array.from(tensor[1]).buffer));
    },
  };
}

/** Tensors of which only the header matters. */
export function headerOf(tensors: readonly TensorInfo[]): TensorSource {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    names: () => byName.keys(),
    info: (name) => byName.get(name),
    read: (name) =>
      Promise.reject(new AppError('internal', `${name} was read, though the header says it all`)),
    location(name) {
      const index = tensors.findIndex((tensor) => tensor.name === name);
      return index < 0 ? undefined : { file: 'header', offset: index * 1000, length: 1000 };
    },
  };
}

/** A float32 tensor's values. */
export async function valuesOf(source: TensorSource, name: string): Promise<Float32Array> {
  return new Float32Array((await source.read(name)).buffer);
}

/** A source written as a safetensors file. */
export async function fileOf(source: TensorSource, metadata?: Record<string, string>): Promise<Blob> {
  const parts: BlobPart[] = [];
  for await (const part of writeSafetensors(source, metadata)) parts.push(part);
  return new Blob(parts);
}
