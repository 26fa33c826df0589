import { filled, paste } from '#imaging/pillow/paste.ts';
import type { Pixels } from '#imaging/pixels.ts';

/** The image in the middle of a white square. @param pixels RGB */
export function padToSquare(pixels: Pixels): Pixels {
  const { width, height } = pixels;
  if (width === height) return pixels;
  const side = Math.max(width, height);
  const square = filled({ width: side, height: side }, [255, 255, 255]);
  return paste(square, pixels, { x: Math.floor((side - width) / 2), y: Math.floor((side - height) / 2) });
}
