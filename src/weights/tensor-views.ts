import { AppError } from '#protocol/error.ts';
import { BYTES_PER_ELEMENT, elementCount, type TensorSource } from './tensor-source.ts';

/**
 * A view of a tensor under another name: unchanged, reshaped, some of its rows, or transposed.
 * Only the transposed are copied; the rest keep their place in the file.
 */
export interface TensorView {
  name: string;
  /** Name in the source below. */
  original: string;
  shape: readonly number[];
  /** Index of the first element, 0 unless the view is a run of rows. */
  start?: number;
  /** The original is this matrix the other way round. */
  transposed?: boolean;
}

/** The source that consists of these views. */
export function viewTensors(source: TensorSource, views: Iterable<TensorView>): TensorSource {
  const byName = new Map<string, TensorView>();
  for (const view of views) byName.set(view.name, view);

  /** Bytes of the view in its original. */
  const rangeOf = (view: TensorView): { start: number; length: number; bytesPerElement: number } => {
    const bytesPerElement = BYTES_PER_ELEMENT[source.info(view.original)?.type ?? 'uint8'];
    return {
      start: (view.start ?? 0) * bytesPerElement,
      length: elementCount(view.shape) * bytesPerElement,
      bytesPerElement,
    };
  };

  return {
    names: () => byName.keys(),
    info(name) {
      const view = byName.get(name);
      const original = view && source.info(view.original);
      return original && { name, type: original.type, shape: view.shape };
    },
    async read(name) {
      const view = byName.get(name);
      if (!view) throw new AppError('not_found', `There is no tensor "${name}".`);
      const bytes = await source.read(view.original);
      const { start, length, bytesPerElement } = rangeOf(view);
      if (view.transposed) return transpose(bytes, view.shape[0] ?? 1, bytesPerElement);
      return length === bytes.length ? bytes : bytes.slice(start, start + length);
    },
    location(name) {
      const view = byName.get(name);
      if (!view || view.transposed) return undefined;
      const whole = source.location?.(view.original);
      if (!whole) return undefined;
      const { start, length } = rangeOf(view);
      return { file: whole.file, offset: whole.offset + start, length };
    },
  };
}

/** A matrix's bytes with rows and columns exchanged; `rows` are those of the result. */
function transpose(bytes: Uint8Array, rows: number, bytesPerElement: number): Uint8Array<ArrayBuffer> {
  const columns = bytes.length / bytesPerElement / rows;
  const result = new Uint8Array(bytes.length);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let from = (column * rows + row) * bytesPerElement;
      for (let i = 0; i < bytesPerElement; i++) result[to++] = bytes[from++] ?? 0;
    }
  }
  return result;
}
