import { isRecord } from './json.ts';

/** Bytes of one element, by the dtype names of the safetensors format. Types of less than a byte are not among them. */
export const SAFETENSORS_DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof SAFETENSORS_DTYPE_BYTES;

/** One tensor of a file. */
export interface SafetensorsEntry {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
  /** Bytes from the start of the file. */
  offset: number;
  length: number;
}

export interface SafetensorsHeader {
  /** Free text the writer left: training settings, model specification. */
  metadata: Readonly<Record<string, string>>;
  /** By name, in the order of their bytes. */
  entries: ReadonlyMap<string, SafetensorsEntry>;
}

/** Why bytes are no usable safetensors file: `foreign` is another format, `damaged` breaks the format's rules. */
export interface SafetensorsProblem {
  ok: false;
  problem: 'foreign' | 'damaged';
  /** A sentence for people. */
  reason: string;
}

/** Bytes before the JSON: its length as an unsigned 64-bit little-endian number. */
export const SAFETENSORS_PREFIX_BYTES = 8;

/** The limit of the reference reader (safetensors/src/tensor.rs). */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_RANK = 16;

const PICKLE =
  'it is a PyTorch pickle (.ckpt, .pt, .pth, .bin), which can run any program when it is opened. Convert it to .safetensors.';

/** First bytes of the formats people mistake for safetensors. */
const FOREIGN: readonly (readonly [magic: readonly number[], reason: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], PICKLE],
  [[0x80, 0x02], PICKLE],
  [[0x80, 0x03], PICKLE],
  [[0x80, 0x04], PICKLE],
  [[0x80, 0x05], PICKLE],
  [[0x47, 0x47, 0x55, 0x46], 'it is a GGUF file, which is not supported.'],
  [[0x76, 0x65, 0x72, 0x73], 'it is a Git LFS pointer, not the file itself. Download the file it points to.'],
  [[0x3c], 'it is a web page, not a model: the site may want a login before it hands out the file.'],
  [[0x89, 0x48, 0x44, 0x46], 'it is an HDF5 (Keras) file, which is not supported.'],
];

/**
 * Bytes of the file, from its start, that {@link parseSafetensorsHeader} needs.
 *
 * @param start The first bytes of the file: {@link SAFETENSORS_PREFIX_BYTES} and at least one more.
 */
export function measureSafetensorsHeader(
  start: Uint8Array,
  fileBytes: number,
): { ok: true; headerBytes: number } | SafetensorsProblem {
  if (start.length <= SAFETENSORS_PREFIX_BYTES) return damaged('it is too short to be one.');
  // A pickle of protocol 2 to 5 could also be a header of that many bytes, but then `{` follows the length.
  if (start[SAFETENSORS_PREFIX_BYTES] !== 0x7b) {
    for (const [magic, reason] of FOREIGN) {
      if (magic.every((byte, i) => start[i] === byte)) return { ok: false, problem: 'foreign', reason };
    }
    return damaged('it does not start with a safetensors header.');
  }
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const jsonBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (jsonBytes > MAX_HEADER_BYTES)
    return damaged(`its header claims ${jsonBytes} bytes; the format allows 100 MB.`);
  const headerBytes = SAFETENSORS_PREFIX_BYTES + jsonBytes;
  if (headerBytes > fileBytes) return damaged('it ends within its header: the download is incomplete.');
  return { ok: true, headerBytes };
}

/**
 * Reads the header of a safetensors file and checks it against the rules of the format: known dtypes, sizes that agree
 * with shapes, and tensors that cover the rest of the file once, without gap or overlap.
 *
 * @param start The file from its start, as many bytes as {@link measureSafetensorsHeader} says.
 */
export function parseSafetensorsHeader(
  start: Uint8Array,
  fileBytes: number,
): { ok: true; header: SafetensorsHeader } | SafetensorsProblem {
  const measured = measureSafetensorsHeader(start, fileBytes);
  if (!measured.ok) return measured;
  const { headerBytes } = measured;
  if (start.length < headerBytes) return damaged('it ends within its header: the download is incomplete.');

  let json: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(
      start.subarray(SAFETENSORS_PREFIX_BYTES, headerBytes),
    );
    json = JSON.parse(text);
  } catch {
    return damaged('its header is not valid JSON.');
  }
  if (!isRecord(json)) return damaged('its header is not a JSON object.');
  const members = Object.entries(json);

  let metadata: Record<string, string> = {};
  const found: SafetensorsEntry[] = [];
  for (const [name, value] of members) {
    if (name === '__metadata__') {
      const entries = readMetadata(value);
      if (entries === undefined) return damaged('its metadata is not a JSON object.');
      metadata = entries;
      continue;
    }
    const entry = readEntry(name, value, headerBytes);
    if (typeof entry === 'string') return damaged(`tensor "${shorten(name)}" ${entry}.`);
    found.push(entry);
  }

  // Of two equal names the last counts, as in the reference reader; it must then account for all bytes.
  const hasTwins = () => countMembers(text) !== members.length;
  found.sort((a, b) => a.offset - b.offset || a.length - b.length);
  let end = headerBytes;
  for (const { name, offset, length } of found) {
    if (offset < end) return damaged(`tensor "${shorten(name)}" overlaps the one before it.`);
    if (offset > end) {
      return damaged(
        hasTwins()
          ? 'its header names a tensor twice, with different bytes.'
          : `there is a gap before tensor "${shorten(name)}".`,
      );
    }
    end = offset + length;
  }
  if (end < fileBytes && hasTwins()) return damaged('its header names a tensor twice, with different bytes.');
  if (end > fileBytes) return damaged(`${fileBytes} of ${end} bytes are there: the download is incomplete.`);
  if (end < fileBytes) return damaged(`${fileBytes - end} bytes follow its last tensor.`);
  return { ok: true, header: { metadata, entries: new Map(found.map((entry) => [entry.name, entry])) } };
}

/**
 * The start of a safetensors file whose tensors' bytes then follow one another in the order given. The JSON is padded
 * with spaces so that the first tensor starts at a multiple of 8.
 */
export function encodeSafetensorsHeader(
  tensors: Iterable<Pick<SafetensorsEntry, 'name' | 'dtype' | 'shape'>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const members: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + count(shape) * SAFETENSORS_DTYPE_BYTES[dtype];
    members.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(members)));
  const jsonBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(SAFETENSORS_PREFIX_BYTES + jsonBytes).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(jsonBytes), true);
  bytes.set(json, SAFETENSORS_PREFIX_BYTES);
  return bytes;
}

function readEntry(name: string, value: unknown, dataStart: number): SafetensorsEntry | string {
  if (!isRecord(value)) return 'is not described by a JSON object';
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    return typeof dtype === 'string' ? `has the unknown type "${shorten(dtype)}"` : 'has no type';
  }
  if (!isSizes(shape) || shape.length > MAX_RANK) return 'has an invalid shape';
  const length = count(shape) * SAFETENSORS_DTYPE_BYTES[dtype];
  if (!Number.isSafeInteger(length)) return 'has an impossibly large shape';
  if (!isSizes(offsets)) return 'has invalid offsets';
  const [begin, end, ...rest] = offsets;
  if (begin === undefined || end === undefined || rest.length > 0 || end < begin)
    return 'has invalid offsets';
  if (end - begin !== length) return `claims ${end - begin} bytes, but its shape needs ${length}`;
  return { name, dtype, shape, offset: dataStart + begin, length };
}

/**
 * Members of the outermost object of a valid JSON text. `JSON.parse` keeps the last of two equal names, so their
 * number is how the other is noticed.
 */
function countMembers(json: string): number {
  let depth = 0;
  let colons = 0;
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case 0x22: // "
        for (i++; json.charCodeAt(i) !== 0x22; i++) if (json.charCodeAt(i) === 0x5c) i++;
        break;
      case 0x7b: // {
      case 0x5b: // [
        depth++;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x3a: // :
        if (depth === 1) colons++;
    }
  }
  return colons;
}

function damaged(reason: string): SafetensorsProblem {
  return { ok: false, problem: 'damaged', reason };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(SAFETENSORS_DTYPE_BYTES, value);
}

/** Whether a value is a list of whole numbers from 0 on, as shapes and offsets are. */
export function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/**
 * The writer's notes. The format allows texts only, and null for none; some writers leave numbers and objects, which are
 * kept as their JSON. Undefined for what is no object.
 */
function readMetadata(value: unknown): Record<string, string> | undefined {
  if (value === null) return {};
  if (!isRecord(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      typeof entry === 'string' ? entry : JSON.stringify(entry),
    ]),
  );
}
