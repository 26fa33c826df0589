import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import type { Preview } from '#protocol/job.ts';

/** A preview as a PNG file in base64. */
export function encodePreview(preview: Preview): string {
  return toBase64(encodePng({ ...preview, channels: 3 }));
}
