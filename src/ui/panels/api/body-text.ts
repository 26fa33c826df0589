import { findImages, shortenData } from './answer.ts';

/** What a person reads of a body. */
export interface ReadBody {
  text: string;
  /** Addresses of the images in it. Those of {@link objectUrl} are to be revoked. */
  images: readonly string[];
  objectUrl: string | null;
}

/** Characters of a text that is not JSON. */
const MOST_CHARACTERS = 4000;

const IMAGE = /^image\/(?:png|jpeg|webp|gif)/;

/** Reads a body for people: JSON with its long data cut and its images apart, an image, or the beginning of a text. */
export async function readBody(body: Blob, type: string | null): Promise<ReadBody> {
  if (IMAGE.test(body.type)) {
    const objectUrl = URL.createObjectURL(body);
    return { text: '', images: [objectUrl], objectUrl };
  }
  const text = await body.text();
  if (type !== null && /^multipart\//i.test(type)) return { ...plain(text), text: withoutBinary(text) };
  try {
    const json: unknown = JSON.parse(text);
    return { text: JSON.stringify(shortenData(json), null, 2), images: findImages(json), objectUrl: null };
  } catch {
    return plain(text);
  }
}

function plain(text: string): ReadBody {
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
  return { text: cut, images: [], objectUrl: null };
}

/** The lines of a form without those of its files. */
function withoutBinary(text: string): string {
  const lines = text
    .split('\r\n')
    .map((line) => (/[^\t\x20-\x7e\u00a0-\uffef]/.test(line) ? '(binary data)' : line));
  return lines.join('\n').slice(0, MOST_CHARACTERS);
}
