import { storageOf, type Storage } from '#weights/quantise.ts';
import {
  byteLength,
  elementCount,
  type TensorInfo,
  type TensorLocation,
  type TensorSource,
} from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';

/** A file that does not exist yet: the tensors whose bytes are in none of the user's files. */
export interface GeneratedFile {
  /** The `location` the graph's external-data entries name. */
  path: string;
  sizeBytes: number;
  tensors: readonly { name: string; offset: number; length: number }[];
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
  readonly #generated: { name: string; offset: number; length: number }[] = [];
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
    const info = this.info(name);
    if (!sameSides(info.shape, shape)) {
      throw new AppError(
        'invalid_request',
        `The tensor "${name}" is [${info.shape.join(', ')}], but the configuration needs [${shape.join(', ')}].`,
        { detail: { tensor: name } },
      );
    }
    if (this.#taken.has(name)) throw new AppError('internal', `The tensor "${name}" is used twice.`);
    this.#taken.set(name, info);
    return { info, location: this.#source.location?.(name) ?? this.#generate(info) };
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

  #generate(info: TensorInfo): TensorLocation {
    const offset = Math.ceil(this.#generatedBytes / ALIGNMENT) * ALIGNMENT;
    const length = byteLength(info);
    this.#generated.push({ name: info.name, offset, length });
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
  for (const { name, offset, length } of file.tensors) {
    if (offset > position) yield new Uint8Array(offset - position);
    const bytes = await source.read(name);
    if (bytes.length !== length) {
      throw new AppError(
        'integrity_failed',
        `The tensor "${name}" has ${bytes.length} bytes instead of ${length}.`,
      );
    }
    yield bytes;
    position = offset + length;
  }
}

function sameSides(a: readonly number[], b: readonly number[]): boolean {
  const sides = (shape: readonly number[]) => shape.filter((side) => side !== 1).join();
  return elementCount(a) === elementCount(b) && sides(a) === sides(b);
}
