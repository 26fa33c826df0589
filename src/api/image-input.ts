import { fromBase64OrDataUri } from '#codecs/base64.ts';
import { readImageText } from '#codecs/image-text.ts';
import { AppError } from '#protocol/error.ts';
import type { Call } from './route.ts';

/**
 * The image file that a request gives by its address, as a data URI or as base64.
 * @throws AppError `invalid_request` when there is no such file or it is no PNG, JPEG, WebP or GIF
 */
export async function readImageInput(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url' | 'signal'>,
  text: string,
): Promise<Blob> {
  const bytes = /^https?:/i.test(text) ? await fetchBytes(call, text) : decode(text);
  try {
    await readImageText(bytes);
  } catch {
    throw new AppError('invalid_request', 'The image is not a PNG, JPEG, WebP or GIF file.');
  }
  return new Blob([bytes]);
}

function decode(text: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64OrDataUri(text);
  } catch {
    throw new AppError('invalid_request', 'The image is neither a URL nor base64.');
  }
}

async function fetchBytes(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url' | 'signal'>,
  address: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const files = call.url('files/');
  // A service worker's own requests do not pass through itself.
  const file = address.startsWith(files)
    ? await call.ask((host) => host.file(decodeURIComponent(address.slice(files.length))))
    : await fetchFile(address, call.signal);
  if (!file) {
    throw new AppError('invalid_request', 'Unable to fetch image from provided URL', {
      detail: { tip: 'Its server must allow requests from other sites (CORS). Otherwise send it as base64.' },
    });
  }
  return new Uint8Array(await file.arrayBuffer());
}

async function fetchFile(address: string, signal: AbortSignal): Promise<Blob | undefined> {
  try {
    const response = await fetch(address, { signal });
    return response.ok ? await response.blob() : undefined;
  } catch {
    return undefined;
  }
}
