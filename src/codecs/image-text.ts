import { readExif } from './exif.ts';
import { isPng, readPngText } from './png-text.ts';

/** Comments of a GIF file (GIF89a, §24): extension 0xfe, in blocks of up to 255 bytes. */
function readGifComment(file: Uint8Array): string {
  const start = file.findIndex((byte, index) => byte === 0x21 && file[index + 1] === 0xfe);
  if (start < 0) return '';
  let text = '';
  for (let block = start + 2; ;) {
    const length = file[block] ?? 0;
    if (length === 0) return text;
    text += new TextDecoder().decode(file.subarray(block + 1, block + 1 + length));
    block += 1 + length;
  }
}

/**
 * The texts of an image file by keyword. EXIF's user comment and a GIF's comment come as `parameters`, where a
 * PNG of A1111 has its infotext.
 * @throws TypeError when it is no PNG, JPEG, WebP or GIF file; RangeError when it is broken
 */
export async function readImageText(file: Uint8Array): Promise<Record<string, string>> {
  if (isPng(file)) return readPngText(file);
  const exif = readExif(file);
  if (exif) return exif.userComment === undefined ? {} : { parameters: exif.userComment };
  if (new TextDecoder().decode(file.subarray(0, 4)) !== 'GIF8') throw new TypeError('Not an image file.');
  const comment = readGifComment(file);
  return comment === '' ? {} : { parameters: comment };
}
