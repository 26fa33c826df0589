import { isGif, isJpeg, jpegSegments, readGifComment } from './image-parts.ts';
import { isPng, readPngHeader } from './png-chunks.ts';
import { readPngText } from './png-text.ts';
import { readExif } from './read-exif.ts';

/** COM (ITU-T T.81, B.2.4.5). */
const JPEG_COMMENT = 0xfe;

/** Where the texts have what EXIF's user comment says. */
const EXIF_COMMENT = 'exif comment';

/**
 * The texts of an image file by keyword. `parameters` is the infotext: EXIF's user comment, else a PNG's text of this name,
 * else the comment of a JPEG or GIF file (A1111, modules/images.py, `read_info_from_image`).
 * @throws TypeError when it is no PNG, JPEG, WebP or GIF file; RangeError when it is a PNG file without a header
 */
export async function readImageText(file: Uint8Array): Promise<Record<string, string>> {
  const exif = readExif(file);
  if (!exif && !isGif(file)) throw new TypeError('Not an image file.');
  const comment = exif?.userComment ?? '';
  const texts = isPng(file) ? await readPngTexts(file) : textsOf('parameters', readComment(file));
  return comment === '' ? texts : { ...texts, [EXIF_COMMENT]: comment, parameters: comment };
}

async function readPngTexts(file: Uint8Array): Promise<Record<string, string>> {
  readPngHeader(file);
  return readPngText(file);
}

function readComment(file: Uint8Array): string {
  if (isGif(file)) return readGifComment(file);
  const segment = isJpeg(file)
    ? [...jpegSegments(file)].find(({ marker }) => marker === JPEG_COMMENT)
    : undefined;
  return segment ? new TextDecoder().decode(segment.data) : '';
}

function textsOf(keyword: string, text: string): Record<string, string> {
  return text === '' ? {} : { [keyword]: text };
}
