/** An input or output of a graph. */
export interface OnnxValue {
  name: string;
  /** Element type by its name in ONNX, lower case: `float16`. */
  type: string;
  /** Free sides by their name, null where they have none. */
  shape: readonly (number | string | null)[];
}

/** What an ONNX file says of itself, without its weights. */
export interface OnnxHeader {
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  /** Numbers of the initializers, by element type. */
  numbers: ReadonlyMap<string, number>;
  /** Names of the files beside it with weights. */
  externalFiles: ReadonlySet<string>;
  /** Whether the whole file was gone through; else the limit of reads came first. */
  isComplete: boolean;
}

/**
 * Where the file that a graph calls so lies, relative to the folder that `folder` names: `./weights.pb` and
 * `data\\weights.pb` are names as well. Undefined for paths outside the folder.
 */
export function resolveExternalFile(folder: string, name: string): string | undefined {
  const parts = folder === '' ? [] : folder.split('/');
  for (const part of name.split(/[/\\]/)) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Why bytes are no usable ONNX file; `reason` is a sentence for people. */
export interface OnnxProblem {
  ok: false;
  reason: string;
}

/** Reads bytes `start` to `end` of a file; fewer at its end. */
export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>;

/** onnx/onnx.proto, TensorProto.DataType. */
const TYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  19: 'float8e5m2',
  21: 'uint4',
  22: 'int4',
};

/** Fields that are gone through; the largest real graphs have some hundred thousand. */
const MAX_FIELDS = 2_000_000;

const MAX_TEXT_BYTES = 4096;
const MAX_RANK = 64;

/** How much of a file may be read to find its header. */
export interface ReadLimits {
  /** Bytes read at once. */
  windowBytes: number;
  maxReads: number;
}

/** Thrown inside, returned as {@link OnnxProblem}. */
class Damage extends Error {}

/** Thrown inside when the limit of reads is reached. */
class Enough extends Error {}

/** A field of a protobuf message: its number and its content. */
interface Field {
  number: number;
  /** Of varints; null for all else. */
  value: number | null;
  /** Of messages, texts and packed numbers. */
  start: number;
  end: number;
}

/** Reads through a protobuf file without keeping it; skipped parts are not read. */
class FieldReader {
  readonly #read: ReadBytes;
  readonly #limits: ReadLimits;
  #reads = 0;
  #fields = 0;
  #windowStart = 0;
  #window: Uint8Array = new Uint8Array(0);

  constructor(read: ReadBytes, limits: ReadLimits) {
    this.#read = read;
    this.#limits = limits;
  }

  /** The fields of the message between two places. */
  async *fields(start: number, end: number): AsyncGenerator<Field, void, void> {
    let position = start;
    const varint = async (): Promise<number> => {
      let value = 0;
      for (let shift = 0; shift < 10; shift++) {
        if (position >= end) throw new Damage('it ends within a number.');
        const byte = await this.#byte(position++);
        // Beyond 2^53 digits are lost; of the numbers read here only negative ones are so large.
        value += (byte & 0x7f) * 2 ** (7 * shift);
        if (byte < 0x80) return value;
      }
      throw new Damage('it has a number of more than ten bytes.');
    };
    while (position < end) {
      if (++this.#fields > MAX_FIELDS) throw new Damage('it has too many parts for a model.');
      const tag = await varint();
      const field: Field = { number: Math.floor(tag / 8), value: null, start: position, end: position };
      if (field.number === 0) throw new Damage('it does not start like an ONNX file, or is damaged.');
      switch (tag % 8) {
        case 0:
          field.value = await varint();
          break;
        case 1:
          position += 8;
          break;
        case 2: {
          const length = await varint();
          field.start = position;
          position += length;
          break;
        }
        case 5:
          position += 4;
          break;
        default:
          throw new Damage('it does not start like an ONNX file, or is damaged.');
      }
      if (position > end) throw new Damage('one of its parts is longer than the part around it.');
      field.end = position;
      yield field;
    }
  }

  /** The content of a field that has at most so many bytes. */
  async bytes({ start, end }: Field, max: number): Promise<Uint8Array> {
    if (end - start > max) throw new Damage('it has a name or a shape that is too long.');
    const bytes = new Uint8Array(end - start);
    for (let i = 0; i < bytes.length; i++) bytes[i] = await this.#byte(start + i);
    return bytes;
  }

  async text(field: Field): Promise<string> {
    return new TextDecoder().decode(await this.bytes(field, MAX_TEXT_BYTES));
  }

  async #byte(position: number): Promise<number> {
    let byte = this.#window[position - this.#windowStart];
    if (byte !== undefined) return byte;
    if (++this.#reads > this.#limits.maxReads) throw new Enough();
    this.#windowStart = position;
    this.#window = await this.#read(position, position + this.#limits.windowBytes);
    byte = this.#window[0];
    if (byte === undefined) throw new Damage('it ends too early: the download is incomplete.');
    return byte;
  }
}

/**
 * Reads what an ONNX file says of its inputs, outputs and weights, skipping over the bytes of weights and nodes. Any
 * bytes are answered, in bounded time: a file is damaged if a part is longer than the part around it.
 *
 * @param limits Where they do not suffice, what is known so far is returned.
 */
export async function readOnnxHeader(
  read: ReadBytes,
  fileBytes: number,
  limits: ReadLimits,
): Promise<{ ok: true; header: OnnxHeader } | OnnxProblem> {
  const reader = new FieldReader(read, limits);
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  const initializers = new Set<string>();
  const numbers = new Map<string, number>();
  const externalFiles = new Set<string>();
  let hasGraph = false;
  let isComplete = false;

  async function readInitializer({ start, end }: Field): Promise<void> {
    let count = 1;
    let type = 'unknown';
    for await (const field of reader.fields(start, end)) {
      if (field.number === 1) for (const side of await readNumbers(reader, field)) count *= side;
      else if (field.number === 2) type = typeName(field);
      else if (field.number === 8) initializers.add(await reader.text(field));
      else if (field.number === 13) {
        const [key, value] = await readPair(reader, field);
        if (key === 'location') externalFiles.add(value);
      }
    }
    numbers.set(type, (numbers.get(type) ?? 0) + count);
  }

  try {
    for await (const part of reader.fields(0, fileBytes)) {
      if (part.number !== 7 || part.start === part.end) continue;
      hasGraph = true;
      for await (const field of reader.fields(part.start, part.end)) {
        if (field.number === 5) await readInitializer(field);
        else if (field.number === 11) inputs.push(await readValue(reader, field));
        else if (field.number === 12) outputs.push(await readValue(reader, field));
      }
    }
    isComplete = true;
  } catch (thrown) {
    if (thrown instanceof Damage) return { ok: false, reason: thrown.message };
    if (!(thrown instanceof Enough)) throw thrown;
  }
  if (!hasGraph) return { ok: false, reason: 'it contains no graph.' };
  // Old exporters list the weights among the inputs.
  const given = inputs.filter(({ name }) => !initializers.has(name));
  return { ok: true, header: { inputs: given, outputs, numbers, externalFiles, isComplete } };
}

function typeName({ value }: Field): string {
  return TYPES[value ?? 0] ?? 'unknown';
}

/** A repeated number, alone or packed. */
async function readNumbers(reader: FieldReader, field: Field): Promise<number[]> {
  if (field.value !== null) return [field.value];
  // A packed field has no tags; each of its numbers is read as one byte after another.
  const found: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of await reader.bytes(field, MAX_RANK * 10)) {
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte >= 0x80) continue;
    found.push(value);
    value = 0;
    scale = 1;
  }
  return found;
}

async function readPair(reader: FieldReader, { start, end }: Field): Promise<[key: string, value: string]> {
  let key = '';
  let value = '';
  for await (const field of reader.fields(start, end)) {
    if (field.number === 1) key = await reader.text(field);
    else if (field.number === 2) value = await reader.text(field);
  }
  return [key, value];
}

/** ValueInfoProto, of which only tensors are returned. */
async function readValue(reader: FieldReader, { start, end }: Field): Promise<OnnxValue> {
  const shape: (number | string | null)[] = [];
  let name = '';
  let type = 'unknown';
  for await (const field of reader.fields(start, end)) {
    if (field.number === 1) name = await reader.text(field);
    if (field.number !== 2) continue;
    for await (const kind of reader.fields(field.start, field.end)) {
      if (kind.number !== 1) continue;
      for await (const part of reader.fields(kind.start, kind.end)) {
        if (part.number === 1) type = typeName(part);
        if (part.number !== 2) continue;
        for await (const side of reader.fields(part.start, part.end)) {
          if (side.number !== 1) continue;
          if (shape.length === MAX_RANK) throw new Damage('one of its values has more than 64 dimensions.');
          shape.push(await readSide(reader, side));
        }
      }
    }
  }
  return { name, type, shape };
}

async function readSide(reader: FieldReader, { start, end }: Field): Promise<number | string | null> {
  for await (const field of reader.fields(start, end)) {
    if (field.number === 1) return field.value;
    if (field.number === 2) return reader.text(field);
  }
  return null;
}
