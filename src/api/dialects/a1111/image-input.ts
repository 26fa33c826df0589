import { readImageInput, type ImageCall } from '#api/image-input.ts';
import { AppError } from '#protocol/error.ts';
import { httpException } from './errors.ts';
import type { Options } from './options.ts';

/**
 * An image of a request: base64, a data URI or a URL (A1111, modules/api/api.py, `decode_base64_to_image`).
 * @param field the parameter's name, for the error
 * @throws AppError as the original for unreadable images, and for URLs if the options forbid them
 */
export async function readImage(
  call: ImageCall,
  text: string,
  { api_enable_requests: mayFetch }: Options,
  field?: string,
): Promise<Blob> {
  const isUrl = /^\s*https?:/i.test(text);
  if (isUrl && !mayFetch) throw httpException(500, 'Requests not allowed');
  try {
    return await readImageInput(call, text, field);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'invalid_request') throw thrown;
    if (isUrl) throw httpException(500, 'Invalid image url', thrown.message);
    // The original has no error for images that are readable but too large.
    const isTooLarge = thrown.cause === undefined && text.trim() !== '';
    throw isTooLarge ? httpException(422, thrown.message) : httpException(500, 'Invalid encoded image');
  }
}
