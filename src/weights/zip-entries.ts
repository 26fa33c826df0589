import { AppError } from '#protocol/error.ts';
import { inflate, MAX_RATIO } from './deflated-tensors.ts';
import type { ByteSource } from './safetensors-source.ts';

/** A file within a ZIP archive. */
export interface ZipFile {
  name: string;
  /** When it is unpacked. */
  sizeBytes: number;
  /** @throws AppError `integrity_failed` for damaged files, `unsupported_feature` for ways of packing that are not deflate */
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Where the records of APPNOTE.TXT 6.3.10 begin, and how long they are at least. */
const END = { signature: 0x06054b50, bytes: 22 };
const LOCATOR = { signature: 0x07064b50, bytes: 20 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const ENTRY = { signature: 0x02014b50, bytes: 46 };
const LOCAL = { signature: 0x04034b50, bytes: 30 };

/** A comment at the end has 16 bits for its length. */
const LONGEST_COMMENT = 0xffff;

/** Bytes of a directory; that of a model with thousands of tensors has hundreds of kilobytes. */
const MOST_DIRECTORY_BYTES = 16 * 1024 * 1024;

/** What stands in a field of 32 bits whose number is in the 64-bit extra. */
const ELSEWHERE = 0xffffffff;
const ZIP64_EXTRA = 1;

const METHODS: readonly number[] = [0, 8];

/**
 * The files of a ZIP archive, stored or deflated, also of more than four gigabytes (ZIP64). Its directory is read now, each file
 * when it is asked for.
 *
 * @param name what errors call the archive
 * @throws AppError `integrity_failed` for archives that are damaged or lie about their sizes
 */
export async function openZip(file: ByteSource, name: string): Promise<Map<string, ZipFile>> {
  const refuse = (reason: string) =>
    new AppError('integrity_failed', `${name} is damaged: ${reason}`, { detail: { file: name } });
  const bytesAt = async (offset: number, length: number): Promise<DataView<ArrayBuffer>> => {
    if (offset < 0 || length < 0 || offset + length > file.size) throw refuse('it ends early.');
    return new DataView(await file.slice(offset, offset + length).arrayBuffer());
  };

  const { offset, length, count } = await findDirectory(file.size, bytesAt, refuse);
  if (length > MOST_DIRECTORY_BYTES) throw refuse('its list of files is too long.');
  const directory = await bytesAt(offset, length);
  const files = new Map<string, ZipFile>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + ENTRY.bytes > length || directory.getUint32(at, true) !== ENTRY.signature) {
      throw refuse('its list of files is incomplete.');
    }
    const entry = readEntry(directory, at, refuse);
    at += entry.bytes;
    if (files.has(entry.name)) throw refuse(`it has two files “${entry.name}”.`);
    files.set(entry.name, {
      name: entry.name,
      sizeBytes: entry.sizeBytes,
      read: () => unpack(entry),
    });
  }
  return files;

  async function unpack({
    name: inner,
    offset: start,
    ...entry
  }: ZipEntry): Promise<Uint8Array<ArrayBuffer>> {
    if (entry.isEncrypted || !METHODS.includes(entry.method)) {
      throw new AppError('unsupported_feature', `${name} is packed in a way that cannot be read here.`, {
        detail: { file: name },
      });
    }
    const isStored = entry.method === 0;
    const isPossible = isStored
      ? entry.packedBytes === entry.sizeBytes
      : entry.sizeBytes <= entry.packedBytes * MAX_RATIO;
    if (!isPossible) throw refuse(`the size of “${inner}” is not what it says.`);
    const local = await bytesAt(start, LOCAL.bytes);
    if (local.getUint32(0, true) !== LOCAL.signature) throw refuse(`“${inner}” is not where it should be.`);
    const content = start + LOCAL.bytes + local.getUint16(26, true) + local.getUint16(28, true);
    const packed = new Uint8Array((await bytesAt(content, entry.packedBytes)).buffer);
    const bytes = isStored ? packed : await inflate(packed, entry.sizeBytes, 'deflate-raw');
    if (!bytes) throw refuse(`“${inner}” cannot be decompressed.`);
    return bytes;
  }
}

type Refuse = (reason: string) => AppError;

async function findDirectory(
  size: number,
  bytesAt: (offset: number, length: number) => Promise<DataView>,
  refuse: Refuse,
): Promise<{ offset: number; length: number; count: number }> {
  const tailBytes = Math.min(size, END.bytes + LONGEST_COMMENT);
  const tail = await bytesAt(size - tailBytes, tailBytes);
  let at = tailBytes - END.bytes;
  while (at >= 0 && tail.getUint32(at, true) !== END.signature) at--;
  if (at < 0) throw refuse('it has no list of files.');

  const locatorAt = size - tailBytes + at - LOCATOR.bytes;
  if (locatorAt >= 0) {
    const locator = await bytesAt(locatorAt, LOCATOR.bytes);
    if (locator.getUint32(0, true) === LOCATOR.signature) {
      const end = await bytesAt(longAt(locator, 8, refuse), END64.bytes);
      if (end.getUint32(0, true) !== END64.signature) throw refuse('it has no list of files.');
      const [count = 0, length = 0, offset = 0] = [32, 40, 48].map((field) => longAt(end, field, refuse));
      return { offset, length, count };
    }
  }
  return {
    count: tail.getUint16(at + 10, true),
    length: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
}

/** What the directory says of a file. */
interface ZipEntry {
  name: string;
  method: number;
  isEncrypted: boolean;
  packedBytes: number;
  sizeBytes: number;
  /** Of its local header. */
  offset: number;
  /** Of the entry in the directory. */
  bytes: number;
}

function readEntry(directory: DataView, at: number, refuse: Refuse): ZipEntry {
  const short = (field: number) => directory.getUint16(at + field, true);
  const [nameBytes, extraBytes, commentBytes] = [short(28), short(30), short(32)];
  const extraAt = at + ENTRY.bytes + nameBytes;
  const bytes = ENTRY.bytes + nameBytes + extraBytes + commentBytes;
  if (at + bytes > directory.byteLength) throw refuse('its list of files is incomplete.');

  const numbers = [24, 20, 42].map((field) => directory.getUint32(at + field, true));
  let wideAt = findExtra(directory, extraAt, extraBytes, ZIP64_EXTRA);
  const [sizeBytes = 0, packedBytes = 0, offset = 0] = numbers.map((number) => {
    if (number !== ELSEWHERE || wideAt === undefined) return number;
    if (wideAt + 8 > extraAt + extraBytes) throw refuse('its list of files is incomplete.');
    const wide = longAt(directory, wideAt, refuse);
    wideAt += 8;
    return wide;
  });
  const name = new Uint8Array(directory.buffer, directory.byteOffset + at + ENTRY.bytes, nameBytes);
  return {
    name: new TextDecoder().decode(name),
    method: short(10),
    isEncrypted: (short(8) & 1) !== 0,
    packedBytes,
    sizeBytes,
    offset,
    bytes,
  };
}

/** Where the content of an entry's extra field of this kind begins. */
function findExtra(directory: DataView, start: number, length: number, kind: number): number | undefined {
  for (let at = start; at + 4 <= start + length; at += 4 + directory.getUint16(at + 2, true)) {
    if (directory.getUint16(at, true) === kind) return at + 4;
  }
  return undefined;
}

function longAt(view: DataView, at: number, refuse: Refuse): number {
  const number = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(number)) throw refuse('a size in it is too large.');
  return number;
}
