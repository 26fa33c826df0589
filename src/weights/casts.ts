import { narrowToFloat16, widenBfloat16, widenFloat16, widenFloat8 } from '#codecs/float16.ts';
import { AppError } from '#protocol/error.ts';
import type { TensorInfo, TensorSource, TensorType } from './tensor-source.ts';

/** What floating-point tensors can be cast to. */
export type FloatType = 'float32' | 'float16';

const FLOAT_TYPES: ReadonlySet<TensorType> = new Set([
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'float8_e4m3',
  'float8_e5m2',
]);

/** Whether a type is one of those casts apply to. */
export function isFloat(type: TensorType): boolean {
  return FLOAT_TYPES.has(type);
}

/**
 * A tensor's elements as float32, without a copy where they are so already.
 *
 * @param room an array of as many elements, to widen float16 into instead of a new one
 * @throws AppError `unsupported_feature` for integers and booleans
 */
export function toFloat32(
  bytes: Uint8Array<ArrayBuffer>,
  type: TensorType,
  room?: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (type) {
    case 'float64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
    case 'float32':
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case 'float16':
      return widenFloat16(new Uint16Array(buffer, byteOffset, byteLength / 2), room);
    case 'bfloat16':
      return widenBfloat16(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'float8_e4m3':
      return widenFloat8(bytes, 'e4m3');
    case 'float8_e5m2':
      return widenFloat8(bytes, 'e5m2');
    default:
      throw new AppError('unsupported_feature', `Weights of type ${type} cannot be read as numbers.`);
  }
}

/** The bytes of float32 values as `type`; float16 rounds to nearest, and to infinity beyond 65504. */
export function fromFloat32(values: Float32Array<ArrayBuffer>, type: FloatType): Uint8Array<ArrayBuffer> {
  if (type === 'float32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return new Uint8Array(narrowToFloat16(values).buffer);
}

/** Reads a tensor as float32. @throws AppError as {@link TensorSource.read} and {@link toFloat32} */
export async function readFloat32(source: TensorSource, name: string): Promise<Float32Array<ArrayBuffer>> {
  const info = source.info(name);
  if (!info) throw new AppError('not_found', `There is no tensor "${name}".`);
  return toFloat32(await source.read(name), info.type);
}

/**
 * A source whose floating-point tensors have the requested type; others pass unchanged, as do tensors that have it
 * already, with their location in the file.
 *
 * @param to One type, or one for each tensor: norms and the VAE stay in float32 where float16 overflows.
 */
export function castTensors(
  source: TensorSource,
  to: FloatType | ((tensor: TensorInfo) => FloatType),
): TensorSource {
  /** The type to cast a tensor to, or undefined if it stays unchanged. */
  const castOf = (tensor: TensorInfo | undefined): FloatType | undefined => {
    if (!tensor || !isFloat(tensor.type)) return undefined;
    const type = typeof to === 'string' ? to : to(tensor);
    return type === tensor.type ? undefined : type;
  };

  return {
    names: () => source.names(),
    info(name) {
      const info = source.info(name);
      return info && { ...info, type: castOf(info) ?? info.type };
    },
    async read(name) {
      const info = source.info(name);
      const type = castOf(info);
      const bytes = await source.read(name);
      return info && type ? fromFloat32(toFloat32(bytes, info.type), type) : bytes;
    },
    location: (name) => (castOf(source.info(name)) ? undefined : source.location?.(name)),
  };
}
