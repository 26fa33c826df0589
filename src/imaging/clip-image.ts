import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels, Region } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';

/** Mean and deviation of red, green and blue, as OpenAI's CLIP was trained with; OpenCLIP's models took them over. */
const MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
const DEVIATION = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * An image as CLIP sees it: `side` × `side` pixels, normalised. `crop` resizes the shorter side to it and cuts out the middle,
 * as transformers' CLIPImageProcessor (models/clip/image_processing_clip.py); `stretch` ignores the aspect ratio, as Fooocus
 * (modules/async_worker.py, `apply_control_nets`).
 * @param image RGB
 */
export function clipImage(image: Pixels, side: number, fit: 'crop' | 'stretch'): Planes {
  const size = { width: side, height: side };
  const { data } =
    fit === 'stretch'
      ? resize(image, size, 'lanczos')
      : resize(image, size, 'bicubic', middleOf(image, side));
  const planes = createPlanes({ channels: 3, height: side, width: side });
  const area = side * side;
  planes.data.forEach((_, i) => {
    const channel = Math.floor(i / area);
    const value = (data[(i % area) * 3 + channel] ?? 0) / 255;
    planes.data[i] = (value - (MEAN[channel] ?? 0)) / (DEVIATION[channel] ?? 1);
  });
  return planes;
}

/** The part of an image that its middle comes from once the shorter side is resized to `side`. */
function middleOf({ width, height }: Pixels, side: number): Region {
  const shorter = Math.min(width, height);
  const [x1, x2] = rangeOf(width, shorter, side);
  const [y1, y2] = rangeOf(height, shorter, side);
  return { x1, y1, x2, y2 };
}

/** The longer side is cut down to whole pixels, and so is what is left over before the middle. */
function rangeOf(length: number, shorter: number, side: number): [from: number, to: number] {
  const resized = Math.floor((side * length) / shorter);
  const before = Math.floor((resized - side) / 2);
  return [(before * length) / resized, ((before + side) * length) / resized];
}
