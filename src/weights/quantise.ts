import { AppError } from '#protocol/error.ts';
import { fromFloat32, isFloat, readFloat32, toFloat32 } from './casts.ts';
import type { Component } from './checkpoint.ts';
import { elementCount, type TensorInfo, type TensorSource, type TensorType } from './tensor-source.ts';

/**
 * How a weight is kept. `int8-channels`: int8 and one scale for each output channel, for `DequantizeLinear` before a
 * convolution. `int8-blocks`, `int4-blocks`: the layout of com.microsoft.MatMulNBits.
 */
export type Storage = 'exact' | 'int8-channels' | 'int8-blocks' | 'int4-blocks';

/** Inputs that share a scale and a zero point in the block storages. */
export const BLOCK_SIZE = 32;

/** Weights of fewer numbers than this stay exact: they cost little and many of them are delicate. */
const SMALL = 16_384;

/** First and last convolutions, what reads the timestep and the size, and tables that are looked up. */
const DELICATE =
  /^(?:conv_in|conv_out|time_embedding\.|add_embedding\.|controlnet_)|(?:token|position)_embedding\.weight$/;

/** The networks that "smaller" quantises; a VAE shows every error in the image and is small. */
const QUANTISED: ReadonlySet<Component> = new Set([
  'unet',
  'controlnet',
  'text_encoder',
  'text_encoder_2',
  'image_encoder',
]);

/**
 * What "smaller" means for a tensor of a network: convolutions in int8, linear layers in blocks of 4 or 8 bits, the
 * delicate and the small unchanged.
 */
export function chooseStorage(component: Component, linearBits: 4 | 8): (tensor: TensorInfo) => Storage {
  return ({ name, type, shape }) => {
    if (!QUANTISED.has(component) || !isFloat(type) || !name.endsWith('.weight')) return 'exact';
    if (elementCount(shape) < SMALL || DELICATE.test(name)) return 'exact';
    if (shape.length === 4) return 'int8-channels';
    if (shape.length === 2 && (shape[1] ?? 0) % BLOCK_SIZE === 0) {
      return linearBits === 4 ? 'int4-blocks' : 'int8-blocks';
    }
    return 'exact';
  };
}

/** A tensor of a quantised weight: the weight itself has no suffix. */
type Part = '' | '.scale' | '.zero_point';

/**
 * A source whose weights are quantised when they are read. A weight `w` of `[out, …]` becomes
 * - `int8-channels`: `w` int8 in its own shape and `w.scale` float32 `[out]`; value = w · scale;
 * - blocks of n bits: `w` uint8 `[out, in / 32, 32 · n / 8]` (of two 4-bit numbers in a byte the lower half is the
 *   first), `w.scale` float32 `[out, in / 32]`, `w.zero_point` uint8 `[out, ⌈in / 32 · n / 8⌉]`;
 *   value = (w − zero_point) · scale.
 */
export function quantiseTensors(
  source: TensorSource,
  storageOf: (tensor: TensorInfo) => Storage,
): TensorSource {
  const parts = new Map<string, { weight: TensorInfo; storage: Storage; part: Part; info: TensorInfo }>();
  for (const name of source.names()) {
    const weight = source.info(name);
    if (!weight) continue;
    const storage = storageOf(weight);
    if (storage === 'exact') continue;
    for (const [part, type, shape] of layoutOf(weight, storage)) {
      parts.set(name + part, { weight, storage, part, info: { name: name + part, type, shape } });
    }
  }

  // The parts of a weight are requested one after another, and one pass makes them all.
  let latest: { name: string; quantised: Promise<Map<Part, Uint8Array<ArrayBuffer>>> } | undefined;

  return {
    *names() {
      for (const name of source.names()) {
        yield name;
        for (const part of ['.scale', '.zero_point']) if (parts.has(name + part)) yield name + part;
      }
    },
    info: (name) => parts.get(name)?.info ?? source.info(name),
    async read(name) {
      const wanted = parts.get(name);
      if (!wanted) return source.read(name);
      const { weight, storage, part } = wanted;
      let made = latest?.name === weight.name ? await latest.quantised : undefined;
      if (!made?.has(part)) {
        latest = { name: weight.name, quantised: quantise(source, weight, storage) };
        made = await latest.quantised;
      }
      const bytes = made.get(part);
      if (!bytes) throw new AppError('internal', `Quantising "${weight.name}" made no "${part}".`);
      // The caller owns what is returned.
      made.delete(part);
      return bytes;
    },
    location: (name) => (parts.has(name) ? undefined : source.location?.(name)),
  };
}

/** Whether a tensor of a source is quantised, and how. */
export function storageOf(source: TensorSource, name: string): Storage {
  const info = source.info(name);
  if (!info || !source.info(`${name}.scale`)) return 'exact';
  if (info.type === 'int8') return 'int8-channels';
  if (info.type !== 'uint8' || info.shape.length !== 3) return 'exact';
  return info.shape[2] === BLOCK_SIZE ? 'int8-blocks' : 'int4-blocks';
}

/**
 * The opposite of {@link quantiseTensors}: quantised weights as float32 under their own names, so that a LoRA can be
 * merged into a model that was quantised when it was imported.
 */
export function dequantiseTensors(source: TensorSource): TensorSource {
  /** Whether a tensor is the scale or zero point of another. */
  const isPart = (name: string): boolean => {
    const weight = /^(.+)\.(?:scale|zero_point)$/.exec(name)?.[1];
    return weight !== undefined && storageOf(source, weight) !== 'exact';
  };
  return {
    *names() {
      for (const name of source.names()) if (!isPart(name)) yield name;
    },
    info(name) {
      const info = source.info(name);
      if (!info || isPart(name)) return undefined;
      const storage = storageOf(source, name);
      if (storage === 'exact') return info;
      const [rows = 1, blocks = 1] = info.shape;
      return {
        name,
        type: 'float32',
        shape: storage === 'int8-channels' ? info.shape : [rows, blocks * BLOCK_SIZE],
      };
    },
    async read(name) {
      const storage = storageOf(source, name);
      const info = source.info(name);
      if (!info || storage === 'exact') return source.read(name);
      return fromFloat32((await deferFloat32(source, name))(), 'float32');
    },
    location: (name) => (storageOf(source, name) === 'exact' ? source.location?.(name) : undefined),
  };
}

/** Makes the numbers of a weight; in `room`, which has their length, where they are in no array yet. */
export type MakeFloat32 = (room?: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;

/**
 * Reads a weight as it is stored. What is returned makes the numbers of it, so that many weights can wait in their small
 * form.
 *
 * @throws AppError as {@link readFloat32}
 */
export async function deferFloat32(source: TensorSource, name: string): Promise<MakeFloat32> {
  const storage = storageOf(source, name);
  const info = source.info(name);
  if (!info) throw new AppError('not_found', `There is no tensor "${name}".`);
  const stored = await source.read(name);
  if (storage === 'exact') return (room) => toFloat32(stored, info.type, room);
  const scales = await readFloat32(source, `${name}.scale`);
  if (storage === 'int8-channels') return (room) => fromChannels(new Int8Array(stored.buffer), scales, room);
  const zeroPoints = await source.read(`${name}.zero_point`);
  const form = { blocksPerRow: info.shape[1] ?? 1, bits: bitsOf(storage) };
  return (room) => fromBlocks(stored, scales, zeroPoints, form, room);
}

/**
 * How much quantisation changes a weight: the root mean square of the differences, divided by that of the weight.
 *
 * @throws AppError as {@link readFloat32}
 */
export async function measureQuantisation(
  source: TensorSource,
  name: string,
  storage: Storage,
): Promise<number> {
  const quantised = dequantiseTensors(
    quantiseTensors(source, (tensor) => (tensor.name === name ? storage : 'exact')),
  );
  const before = await readFloat32(source, name);
  const after = await readFloat32(quantised, name);
  let error = 0;
  let power = 0;
  for (let i = 0; i < before.length; i++) {
    const value = before[i] ?? 0;
    error += (value - (after[i] ?? 0)) ** 2;
    power += value ** 2;
  }
  return power > 0 ? Math.sqrt(error / power) : 0;
}

function bitsOf(storage: Storage): 4 | 8 {
  return storage === 'int4-blocks' ? 4 : 8;
}

/** @throws AppError `invalid_request` for a weight that the format cannot store */
function layoutOf(
  { name, shape }: TensorInfo,
  storage: Storage,
): (readonly [part: Part, type: TensorType, shape: readonly number[]])[] {
  const [rows = 1, columns = 1] = shape;
  if (storage === 'int8-channels') {
    return [
      ['', 'int8', shape],
      ['.scale', 'float32', [rows]],
    ];
  }
  if (shape.length !== 2 || columns % BLOCK_SIZE !== 0) {
    throw new AppError(
      'invalid_request',
      `"${name}" [${shape.join(', ')}] cannot be split into blocks of ${BLOCK_SIZE}.`,
    );
  }
  const bits = bitsOf(storage);
  const blocks = columns / BLOCK_SIZE;
  return [
    ['', 'uint8', [rows, blocks, (BLOCK_SIZE * bits) / 8]],
    ['.scale', 'float32', [rows, blocks]],
    ['.zero_point', 'uint8', [rows, Math.ceil((blocks * bits) / 8)]],
  ];
}

async function quantise(
  source: TensorSource,
  { name, shape }: TensorInfo,
  storage: Storage,
): Promise<Map<Part, Uint8Array<ArrayBuffer>>> {
  const weight = await readFloat32(source, name);
  const rows = shape[0] ?? 1;
  return storage === 'int8-channels' ? toChannels(weight, rows) : toBlocks(weight, rows, bitsOf(storage));
}

/** Symmetric: the largest magnitude of a channel becomes ±127. */
function toChannels(weight: Float32Array, rows: number): Map<Part, Uint8Array<ArrayBuffer>> {
  const columns = weight.length / rows;
  const stored = new Int8Array(weight.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let largest = 0;
    for (let i = start; i < start + columns; i++) largest = Math.max(largest, Math.abs(weight[i] ?? 0));
    scales[row] = largest / 127;
    const inverse = largest > 0 ? 127 / largest : 0;
    // Truncation rounds to nearest where nothing is negative, and is several times faster than Math.round.
    for (let i = start; i < start + columns; i++)
      stored[i] = (((weight[i] ?? 0) * inverse + 128.5) | 0) - 128;
  }
  return new Map<Part, Uint8Array<ArrayBuffer>>([
    ['', new Uint8Array(stored.buffer)],
    ['.scale', new Uint8Array(scales.buffer)],
  ]);
}

function fromChannels(
  stored: Int8Array,
  scales: Float32Array,
  values = new Float32Array(stored.length),
): Float32Array<ArrayBuffer> {
  const columns = stored.length / scales.length;
  for (let row = 0, i = 0; row < scales.length; row++) {
    const scale = scales[row] ?? 0;
    for (const end = i + columns; i < end; i++) values[i] = (stored[i] ?? 0) * scale;
  }
  return values;
}

/** Asymmetric: the range of a block, with 0 in it, becomes 0 … 2^bits − 1. */
function toBlocks(weight: Float32Array, rows: number, bits: 4 | 8): Map<Part, Uint8Array<ArrayBuffer>> {
  const levels = 2 ** bits - 1;
  const perByte = 8 / bits;
  const blocks = weight.length / BLOCK_SIZE;
  const blocksPerRow = blocks / rows;
  const zeroBytesPerRow = Math.ceil(blocksPerRow / perByte);
  const stored = new Uint8Array(weight.length / perByte);
  const scales = new Float32Array(blocks);
  const zeroPoints = new Uint8Array(rows * zeroBytesPerRow);

  for (let block = 0; block < blocks; block++) {
    const start = block * BLOCK_SIZE;
    let low = 0;
    let high = 0;
    for (let i = start; i < start + BLOCK_SIZE; i++) {
      const value = weight[i] ?? 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const scale = (high - low) / levels;
    const inverse = scale > 0 ? 1 / scale : 0;
    const zero = Math.round(-low * inverse);
    scales[block] = scale;
    const place = block % blocksPerRow;
    const zeroAt = Math.floor(block / blocksPerRow) * zeroBytesPerRow + Math.floor(place / perByte);
    zeroPoints[zeroAt] = (zeroPoints[zeroAt] ?? 0) | (zero << (bits * (place % perByte)));
    for (let i = start; i < start + BLOCK_SIZE; i++) {
      const level = Math.min(((weight[i] ?? 0) * inverse + zero + 0.5) | 0, levels);
      if (bits === 8) stored[i] = level;
      else stored[i >> 1] = (stored[i >> 1] ?? 0) | (level << (4 * (i & 1)));
    }
  }
  return new Map<Part, Uint8Array<ArrayBuffer>>([
    ['', stored],
    ['.scale', new Uint8Array(scales.buffer)],
    ['.zero_point', zeroPoints],
  ]);
}

function fromBlocks(
  stored: Uint8Array,
  scales: Float32Array,
  zeroPoints: Uint8Array,
  { blocksPerRow, bits }: { blocksPerRow: number; bits: 4 | 8 },
  values = new Float32Array((stored.length * 8) / bits),
): Float32Array<ArrayBuffer> {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const zeroBytesPerRow = Math.ceil(blocksPerRow / perByte);
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block] ?? 0;
    const place = block % blocksPerRow;
    const zeroByte =
      zeroPoints[Math.floor(block / blocksPerRow) * zeroBytesPerRow + Math.floor(place / perByte)] ?? 0;
    const zero = (zeroByte >> (bits * (place % perByte))) & mask;
    for (let i = block * BLOCK_SIZE; i < (block + 1) * BLOCK_SIZE; i++) {
      const level = ((stored[Math.floor(i / perByte)] ?? 0) >> (bits * (i % perByte))) & mask;
      values[i] = (level - zero) * scale;
    }
  }
  return values;
}
