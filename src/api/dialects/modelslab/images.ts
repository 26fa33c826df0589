import { imageUrl, keepUpload } from '#api/files.ts';
import { readImageInput, type ImageCall } from '#api/image-input.ts';
import { BASE64_FOLDER, TEMP_MS } from './answers.ts';
import { BASE, endpoints } from './endpoints.ts';
import * as schema from './schema.ts';

/**
 * An image that a request names: by a URL, those of earlier answers included, as a data URI or as base64.
 * @param field the parameter's name
 * @throws AppError `invalid_request`
 */
export function readImage(call: ImageCall, text: string, field: string): Promise<Blob> {
  const folder = call.url(`${BASE64_FOLDER}/`);
  const address = text.trim();
  return readImageInput(call, address.startsWith(folder) ? imageBehind(call, address) : address, field);
}

/** The URL of the image whose base64 text is at an address. */
function imageBehind(call: ImageCall, address: string): string {
  const path = address.slice(call.url(`${BASE64_FOLDER}/`).length);
  return imageUrl(call, path.replace(/\.base64$/, '.png'));
}

/** The same for a parameter that need not be sent. */
export async function readOptionalImage(
  call: ImageCall,
  text: string | null,
  field: string,
): Promise<Blob | null> {
  return text === null ? null : readImage(call, text, field);
}

/** What `meta` repeats of an image: its URL; what was sent as text is not sent back. */
export function repeatAddress(image: string | null): string | null {
  return image !== null && /^https?:/i.test(image) ? image : null;
}

/** Keeps images for requests that take URLs. */
export const uploadRoutes = endpoints([`${BASE}/upload_image`], {
  summary: 'Stores an image for 24 hours under a URL',
  body: schema.uploadBody,
  run: async (call) => {
    const image = await readImage(call, call.body.base64_image, 'base64_image');
    const link = await keepUpload(call, image, Date.now() + TEMP_MS);
    return { status: 'success', message: 'Image uploaded', link };
  },
});
