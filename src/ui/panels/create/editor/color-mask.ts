/**
 * Marks the pixels of an image that have about the color of one of them, wherever they are.
 * @param index of that pixel, row by row
 * @param tolerance 0 … 255: how much red, green, blue and opacity may each differ
 * @returns an opaque image of the same size, white where the color is
 */
export function maskOfColor(
  { data, width, height }: Pick<ImageData, 'data' | 'width' | 'height'>,
  index: number,
  tolerance: number,
): ImageData {
  const mask = new ImageData(width, height);
  const wanted = data.subarray(4 * index, 4 * index + 4);
  for (let pixel = 0; pixel < data.length; pixel += 4) {
    let isLike = true;
    for (let channel = 0; channel < 4; channel++) {
      const difference = (data[pixel + channel] ?? 0) - (wanted[channel] ?? 0);
      if (Math.abs(difference) > tolerance) isLike = false;
    }
    mask.data.fill(isLike ? 255 : 0, pixel, pixel + 3);
    mask.data[pixel + 3] = 255;
  }
  return mask;
}
