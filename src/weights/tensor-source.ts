/** Element types a weight file can hold, by their names in the field. `float8_e4m3` is the `fn` variant (no infinities). */
export type TensorType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float8_e4m3'
  | 'float8_e5m2'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool';

/** Bytes of one element. */
export const BYTES_PER_ELEMENT: Readonly<Record<TensorType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float8_e4m3: 1,
  float8_e5m2: 1,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

/** What is known of a tensor before its bytes are read. */
export interface TensorInfo {
  name: string;
  type: TensorType;
  /** Outermost dimension first, as torch has it; empty for a scalar. */
  shape: readonly number[];
}

/** Where a tensor is stored unchanged in a file: an ONNX external-data entry. */
export interface TensorLocation {
  file: string;
  /** Bytes from the start of the file. */
  offset: number;
  length: number;
}

/**
 * Named tensors, read one at a time. Sources are stacked: a file below, renaming, LoRA, casts and
 * quantisation on top, so that the peak above the model's own size is one tensor.
 */
export interface TensorSource {
  names(): Iterable<string>;
  info(name: string): TensorInfo | undefined;
  /**
   * The tensor's elements, row-major and little-endian, in a buffer of the caller's own.
   * @throws AppError `not_found` for a name the source does not have, `integrity_failed` when the file ends early
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Where exactly these bytes are in a file, or undefined if they are computed. */
  location?(name: string): TensorLocation | undefined;
}

/** Elements of a tensor of this shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a tensor of this type and shape. */
export function byteLength({ type, shape }: Pick<TensorInfo, 'type' | 'shape'>): number {
  return elementCount(shape) * BYTES_PER_ELEMENT[type];
}
