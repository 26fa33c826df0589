import { convolve } from '#imaging/opencv/convolve.ts';
import { dilateBySquare } from '#imaging/opencv/square-morphology.ts';
import { createFloatPixels, createPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';

/** Side of the squares that soften the mask: the extension's `control_net_inpaint_blur_sigma`. */
const SIDE = 7;

/**
 * The latent cells that a mask touches, with a pixel around each: 1 for those, else 0.
 * Source: ControlNet extension, scripts/hook.py, "Post-processing for restore", which pools with 10 × 10 every 8.
 * @param mask grey, 255 where it is set
 * @param cell pixels of a latent cell's side
 */
export function maskedCells({ width, height, data }: Pixels, cell: number): Float32Array {
  const columns = Math.floor(width / cell);
  const cells = new Float32Array(columns * Math.floor(height / cell));
  return cells.map((_, i) => {
    const [left, top] = [(i % columns) * cell - 1, Math.floor(i / columns) * cell - 1];
    for (let y = Math.max(0, top); y < Math.min(height, top + cell + 2); y++) {
      for (let x = Math.max(0, left); x < Math.min(width, left + cell + 2); x++) {
        if ((data[y * width + x] ?? 0) > 127) return 1;
      }
    }
    return 0;
  });
}

/**
 * A generated image, and outside of the mask what was there: the mask is grown by 7 × 7 and faded by as much.
 * Source: ControlNet extension, scripts/controlnet.py, `inpaint_only_post_processing`.
 * @param around RGB, as large
 * @param mask grey, as large, 255 where it is set
 */
export function keepAround(generated: Pixels, around: Pixels, mask: Pixels): Pixels {
  const { width, height } = generated;
  const set: FloatPixels = { width, height, channels: 1, data: Float32Array.from(mask.data, (v) => v / 255) };
  const soft = boxMean(dilateBySquare(set, SIDE));
  const result = createPixels(generated, 3);
  result.data.forEach((_, i) => {
    const share = soft.data[Math.floor(i / 3)] ?? 0;
    result.data[i] = share * (generated.data[i] ?? 0) + (1 - share) * (around.data[i] ?? 0);
  });
  return result;
}

/** `cv2.blur` of one channel: the mean of a square of 7 × 7. */
function boxMean(pixels: FloatPixels): FloatPixels {
  const kernel = new Array<number>(SIDE).fill(1 / SIDE);
  const rows = createFloatPixels(pixels, 1);
  convolve(pixels, rows.data, kernel, 'rows');
  const mean = createFloatPixels(pixels, 1);
  convolve(rows, mean.data, kernel, 'columns');
  return mean;
}
