/** Text chunks of a PNG file: keyword → text, in the order of the file. */
export type PngText = Readonly<Record<string, string>>;

interface Chunk {
  type: string;
  data: Uint8Array;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Whether the bytes begin as a PNG file does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

function* chunksOf(png: Uint8Array): Generator<Chunk> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let position = SIGNATURE.length; position + 12 <= png.length;) {
    const length = view.getUint32(position);
    const type = latin1(png.subarray(position + 4, position + 8));
    yield { type, data: png.subarray(position + 8, position + 8 + length) };
    if (type === 'IEND') return;
    position += 12 + length;
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function isLatin1(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0xff) return false;
  return true;
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

const bytesOfLatin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** A `tEXt` chunk where Latin-1 can hold the text, else an uncompressed `iTXt` chunk (PNG 1.2, §4.2.3). */
function textChunk(keyword: string, text: string): Uint8Array {
  const key = bytesOfLatin1(keyword);
  const plain = isLatin1(text) && !text.includes('\0');
  const type = plain ? 'tEXt' : 'iTXt';
  const data = plain
    ? concatBytes([key, new Uint8Array(1), bytesOfLatin1(text)])
    : // No compression, no language, no translated keyword: five zeros.
      concatBytes([key, new Uint8Array(5), new TextEncoder().encode(text)]);
  const body = concatBytes([bytesOfLatin1(type), data]);
  const chunk = concatBytes([new Uint8Array(4), body, new Uint8Array(4)]);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  view.setUint32(chunk.length - 4, crc32(body));
  return chunk;
}

/** The PNG file with these texts in front of its pixels; everything else is copied as it is. */
export function writePngText(png: Uint8Array, text: PngText): Uint8Array<ArrayBuffer> {
  if (!isPng(png)) throw new TypeError('Not a PNG file.');
  const header = 8 + 25;
  const chunks = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  return concatBytes([png.subarray(0, header), ...chunks, png.subarray(header)]);
}

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([Uint8Array.from(bytes)]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function readChunk({ type, data }: Chunk): Promise<[string, string] | null> {
  const keyEnd = data.indexOf(0);
  if (keyEnd < 0) return null;
  const keyword = latin1(data.subarray(0, keyEnd));
  switch (type) {
    case 'tEXt':
      return [keyword, latin1(data.subarray(keyEnd + 1))];
    case 'zTXt':
      return [keyword, latin1(await inflate(data.subarray(keyEnd + 2)))];
    case 'iTXt': {
      const languageEnd = data.indexOf(0, keyEnd + 3);
      const text = data.subarray(data.indexOf(0, languageEnd + 1) + 1);
      return [keyword, new TextDecoder().decode(data[keyEnd + 1] === 1 ? await inflate(text) : text)];
    }
    default:
      return null;
  }
}

/** The texts of a PNG file: `tEXt`, `zTXt` and `iTXt` chunks. @throws TypeError when it is no PNG */
export async function readPngText(png: Uint8Array): Promise<Record<string, string>> {
  if (!isPng(png)) throw new TypeError('Not a PNG file.');
  const texts: Record<string, string> = {};
  for (const chunk of chunksOf(png)) {
    const text = /^(tEXt|zTXt|iTXt)$/.test(chunk.type) ? await readChunk(chunk) : null;
    if (text) texts[text[0]] = text[1];
  }
  return texts;
}
