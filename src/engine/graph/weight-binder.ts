import type { DeferredBytes } from '#engine/runtime/lazy-bytes.ts';
import { deferFloat32, storageOf, type Storage } from '#weights/quantise.ts';
import {
  byteLength,
  elementCount,
  type TensorInfo,
  type TensorLocation,
  type TensorSource,
} from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';

/** A tensor that is made of a weight: other numbers, in float32. */
export interface Derivation {
  /** Names the tensor, after the weight's own name. */
  suffix: string;
  /** From the weight's shape. */
  shape: (weight: readonly number[]) => readonly number[];
  /** Writes its numbers. */
  make: (weight: Float32Array, numbers: Float32Array) => void;
}

/** A tensor of a {@link GeneratedFile}: a weight, or what is made of it. */
interface GeneratedTensor {
  name: string;
  offset: number;
  length: number;
  derived?: { make: Derivation['make']; weightElements: number };
}

/** A file that does not exist yet: the tensors whose bytes are in none of the user's files. */
export interface GeneratedFile {
  /** The `location` the graph's external-data entries name. */
  path: string;
  sizeBytes: number;
  tensors: readonly GeneratedTensor[];
}

/** Offsets in generated files are multiples of this, so that any element type is aligned. */
const ALIGNMENT = 64;

/**
 * Finds the tensors that a graph asks for by their diffusers names and says where ONNX Runtime will read them:
 * in the user's own file if it has exactly these bytes, else in a generated file. Keeps track of the tensors used.
 */
export class WeightBinder {
  readonly #source: TensorSource;
  readonly #generatedPath: string;
  readonly #taken = new Map<string, TensorInfo>();
  readonly #generated: GeneratedTensor[] = [];
  #generatedBytes = 0;

  /** `generatedPath` names the generated file; two graphs of one session never share one. */
  constructor(source: TensorSource, generatedPath: string) {
    this.#source = source;
    this.#generatedPath = generatedPath;
  }

  /** Whether the source has such a tensor: for parts that some checkpoints lack. */
  has(name: string): boolean {
    return this.#source.info(name) !== undefined;
  }

  /**
   * What is known of a tensor.
   * @throws AppError `not_found`
   */
  info(name: string): TensorInfo {
    const info = this.#source.info(name);
    if (!info) {
      throw new AppError('not_found', `The weights have no tensor "${name}".`, { detail: { tensor: name } });
    }
    return info;
  }

  /** How a weight is stored: unchanged, or quantised. */
  storage(name: string): Storage {
    return storageOf(this.#source, name);
  }

  /**
   * Takes a tensor into the graph. `shape` is what the architecture needs; sides of 1 do not count, for original
   * checkpoints keep some linear layers as 1×1 convolutions.
   * @throws AppError `not_found`; `invalid_request` when the shape differs; `internal` when it was taken before
   */
  take(name: string, shape: readonly number[]): { info: TensorInfo; location: TensorLocation } {
    const info = this.#check(name, shape);
    this.#taken.set(name, info);
    return { info, location: this.#source.location?.(name) ?? this.#generate(name, byteLength(info)) };
  }

  /**
   * Takes what is made of a weight into the graph, instead of the weight itself.
   * @throws AppError as {@link take}
   */
  derive(
    name: string,
    shape: readonly number[],
    { suffix, shape: shapeOf, make }: Derivation,
  ): { info: TensorInfo; location: TensorLocation } {
    this.#taken.set(name, this.#check(name, shape));
    const scale = this.#source.info(`${name}.scale`);
    if (scale && this.storage(name) !== 'exact') this.#taken.set(scale.name, scale);
    const info: TensorInfo = { name: `${name}.${suffix}`, type: 'float32', shape: shapeOf(shape) };
    return {
      info,
      location: this.#generate(name, byteLength(info), { make, weightElements: elementCount(shape) }),
    };
  }

  #check(name: string, shape: readonly number[]): TensorInfo {
    const info = this.info(name);
    if (!sameSides(info.shape, shape)) {
      throw new AppError(
        'invalid_request',
        `The tensor "${name}" is [${info.shape.join(', ')}], but the configuration needs [${shape.join(', ')}].`,
        { detail: { tensor: name } },
      );
    }
    if (this.#taken.has(name)) throw new AppError('internal', `The tensor "${name}" is used twice.`);
    return info;
  }

  /** Every tensor taken so far. */
  get taken(): readonly TensorInfo[] {
    return [...this.#taken.values()];
  }

  /** The source's tensors that no part of the graph used. */
  get left(): readonly string[] {
    return [...this.#source.names()].filter((name) => !this.#taken.has(name));
  }

  /** The generated file, or undefined where the user's files hold everything. */
  get generated(): GeneratedFile | undefined {
    if (this.#generated.length === 0) return undefined;
    return { path: this.#generatedPath, sizeBytes: this.#generatedBytes, tensors: this.#generated };
  }

  #generate(name: string, length: number, derived?: GeneratedTensor['derived']): TensorLocation {
    const offset = Math.ceil(this.#generatedBytes / ALIGNMENT) * ALIGNMENT;
    this.#generated.push({ name, offset, length, ...(derived && { derived }) });
    this.#generatedBytes = offset + length;
    return { file: this.#generatedPath, offset, length };
  }
}

/**
 * The parts of a generated file in order, padding included; one tensor is in memory at a time. `new Blob(parts)`
 * or a file writer takes them.
 */
export async function* readGeneratedFile(
  file: GeneratedFile,
  source: TensorSource,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let position = 0;
  for (const tensor of file.tensors) {
    if (tensor.offset > position) yield new Uint8Array(tensor.offset - position);
    yield (await readGenerated(tensor, source))(roomFor([tensor]));
    position = tensor.offset + tensor.length;
  }
}

/**
 * Reads what a generated file is made of, as it is stored: of quantised weights a fraction of its size. Its bytes are made when they
 * are asked for, those of all derived tensors in the same memory: new arrays for each would be garbage of several times the
 * file's size before anything collects it.
 * @returns bytes that are read tensor by tensor: `internal` where none begins
 */
export async function deferGeneratedFile(file: GeneratedFile, source: TensorSource): Promise<DeferredBytes> {
  const tensors = new Map<number, (room: Room) => Uint8Array<ArrayBuffer>>();
  const room = roomFor(file.tensors);
  for (const tensor of file.tensors) tensors.set(tensor.offset, await readGenerated(tensor, source));
  return {
    sizeBytes: file.sizeBytes,
    read(start) {
      const make = tensors.get(start);
      if (!make) throw new AppError('internal', `No tensor of ${file.path} begins at ${start}.`);
      return make(room);
    },
  };
}

/** Memory to make derived tensors in, of the largest of them. */
interface Room {
  weight: Float32Array<ArrayBuffer>;
  derived: Float32Array<ArrayBuffer>;
}

function roomFor(tensors: readonly GeneratedTensor[]): Room {
  const largest = (elementsOf: (tensor: GeneratedTensor) => number) =>
    Math.max(0, ...tensors.map(elementsOf));
  return {
    weight: new Float32Array(largest(({ derived }) => derived?.weightElements ?? 0)),
    derived: new Float32Array(largest(({ derived, length }) => (derived ? length / 4 : 0))),
  };
}

/** @returns what makes the tensor's bytes, of a derived one in the room it is given */
async function readGenerated(
  { name, length, derived }: GeneratedTensor,
  source: TensorSource,
): Promise<(room: Room) => Uint8Array<ArrayBuffer>> {
  if (derived) {
    const { make, weightElements } = derived;
    const makeWeight = await deferFloat32(source, name);
    return (room) => {
      const numbers = room.derived.subarray(0, length / 4);
      make(makeWeight(room.weight.subarray(0, weightElements)), numbers);
      return new Uint8Array(numbers.buffer, 0, length);
    };
  }
  const bytes = await source.read(name);
  if (bytes.length !== length) {
    throw new AppError(
      'integrity_failed',
      `The tensor "${name}" has ${bytes.length} bytes instead of ${length}.`,
    );
  }
  return () => bytes;
}

function sameSides(a: readonly number[], b: readonly number[]): boolean {
  const sides = (shape: readonly number[]) => shape.filter((side) => side !== 1).join();
  return elementCount(a) === elementCount(b) && sides(a) === sides(b);
}
