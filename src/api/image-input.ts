import { fromBase64OrDataUri } from '#codecs/base64.ts';
import { MOST_PIXELS } from '#codecs/decode-image.ts';
import { readImageFacts, type ImageFacts } from '#codecs/image-size.ts';
import { decodePng } from '#codecs/png.ts';
import { AppError } from '#protocol/error.ts';
import { fetchFailure, fetchFile, MOST_BYTES } from './fetch-file.ts';
import type { Call } from './route.ts';

/** What reading an image may ask of its request. */
export type ImageCall = Pick<Call<unknown, unknown>, 'ask' | 'url' | 'signal'>;

/**
 * The image file that a request gives by its address, as a data URI or as base64. See {@link checkImage} for what it may be.
 * @param field the parameter's name, for the error
 * @throws AppError `invalid_request` that says what is wrong with it
 */
export async function readImageInput(call: ImageCall, text: string, field?: string): Promise<Blob> {
  const address = text.trim();
  const file = /^https?:/i.test(address) ? await fetchImage(call, address) : decode(address, field);
  return checkImage(file, field);
}

/**
 * Checks that an image file can be used: PNG, JPEG, WebP or GIF, not damaged, from 1 × 1 pixel to 64 megapixels.
 * A file that is refused here would only be refused later, when its job has waited for its turn.
 * @param field the parameter's name, for the error
 * @returns the file with its own type
 * @throws AppError `invalid_request`
 */
export async function checkImage(file: Blob, field?: string): Promise<Blob> {
  const subject = subjectOf(field);
  if (file.size === 0) throw new AppError('invalid_request', `${subject} is empty.`);
  if (file.size > MOST_BYTES) throw new AppError('invalid_request', `${subject} ${TOO_LARGE}`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const facts = readFacts(bytes, subject);
  const typed = file.type === facts.type ? file : new Blob([bytes], { type: facts.type });
  await checkPixels(typed, bytes, facts, subject);
  return typed;
}

function subjectOf(field: string | undefined): string {
  return field === undefined ? 'The image' : `'${field}'`;
}

const TOO_LARGE = `has more than ${MOST_BYTES / 2 ** 20} MB. Send a smaller file.`;

function readFacts(bytes: Uint8Array, subject: string): ImageFacts {
  let facts: ImageFacts;
  try {
    facts = readImageFacts(bytes);
  } catch (thrown) {
    const reason =
      thrown instanceof RangeError ? 'is truncated or damaged.' : 'is not a PNG, JPEG, WebP or GIF file.';
    throw new AppError('invalid_request', `${subject} ${reason}`, { cause: thrown });
  }
  const { width, height } = facts;
  if (width * height <= MOST_PIXELS) return facts;
  throw new AppError(
    'invalid_request',
    `${subject} has ${width} × ${height} pixels. Send one of at most ${MOST_PIXELS / 2 ** 20} megapixels.`,
  );
}

async function checkPixels(
  file: Blob,
  bytes: Uint8Array,
  { type }: ImageFacts,
  subject: string,
): Promise<void> {
  try {
    if (type === 'image/png') decodePng(bytes);
    // What browsers alone can read is read where there is one.
    else if (typeof createImageBitmap === 'function') (await createImageBitmap(file)).close();
  } catch (thrown) {
    throw new AppError('invalid_request', `${subject} is truncated or damaged.`, { cause: thrown });
  }
}

function decode(text: string, field: string | undefined): Blob {
  try {
    return new Blob([fromBase64OrDataUri(text)]);
  } catch (thrown) {
    throw new AppError('invalid_request', `${subjectOf(field)} is neither a URL nor base64.`, {
      cause: thrown,
    });
  }
}

async function fetchImage(call: ImageCall, address: string): Promise<Blob> {
  const files = call.url('files/');
  if (!address.startsWith(files)) return fetchFile(address, call.signal);
  // A service worker's own requests do not pass through itself.
  const path = readPath(address.slice(files.length));
  const file = await call.ask((host) => host.file(path));
  if (file) return file;
  throw fetchFailure(`There is no file ${path} here, or it has expired.`);
}

/** A path under `files/`, as an address writes it. */
function readPath(written: string): string {
  try {
    return decodeURIComponent(written.replace(/[?#].*$/, ''));
  } catch {
    return written;
  }
}
