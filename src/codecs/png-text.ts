import { concatBytes, decodeLatin1, encodeLatin1 } from './bytes.ts';
import { chunksOf, isPng, writeChunk, type PngChunk } from './png-chunks.ts';

/** Text chunks of a PNG file: keyword → text, in the order of the file. */
export type PngText = Readonly<Record<string, string>>;

function isLatin1(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0xff) return false;
  return true;
}

/** A `tEXt` chunk where Latin-1 can hold the text, else an uncompressed `iTXt` chunk (PNG 1.2, §4.2.3). */
function textChunk(keyword: string, text: string): Uint8Array {
  const key = encodeLatin1(keyword);
  return isLatin1(text) && !text.includes('\0')
    ? writeChunk('tEXt', concatBytes([key, new Uint8Array(1), encodeLatin1(text)]))
    : // No compression, no language, no translated keyword: five zeros.
      writeChunk('iTXt', concatBytes([key, new Uint8Array(5), new TextEncoder().encode(text)]));
}

/** The PNG file with these texts in front of its pixels; everything else is copied unchanged. */
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

async function readChunk({ type, data }: PngChunk): Promise<[string, string] | null> {
  const keyEnd = data.indexOf(0);
  if (keyEnd < 0) return null;
  const keyword = decodeLatin1(data.subarray(0, keyEnd));
  switch (type) {
    case 'tEXt':
      return [keyword, decodeLatin1(data.subarray(keyEnd + 1))];
    case 'zTXt':
      return [keyword, decodeLatin1(await inflate(data.subarray(keyEnd + 2)))];
    case 'iTXt': {
      const languageEnd = data.indexOf(0, keyEnd + 3);
      const text = data.subarray(data.indexOf(0, languageEnd + 1) + 1);
      return [keyword, new TextDecoder().decode(data[keyEnd + 1] === 1 ? await inflate(text) : text)];
    }
    default:
      return null;
  }
}

/**
 * The texts of a PNG file: `tEXt`, `zTXt` and `iTXt` chunks, before and after the pixels. Compressed texts that are broken
 * are left out.
 * @throws TypeError when it is no PNG
 */
export async function readPngText(png: Uint8Array): Promise<Record<string, string>> {
  if (!isPng(png)) throw new TypeError('Not a PNG file.');
  const texts: Record<string, string> = {};
  for (const chunk of chunksOf(png)) {
    // A broken text must hide neither the others nor the image.
    const text = await readChunk(chunk).catch(() => null);
    if (text) texts[text[0]] = text[1];
  }
  return texts;
}
