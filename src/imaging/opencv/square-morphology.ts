import type { FloatPixels, Pixels } from '#imaging/pixels.ts';

/**
 * `cv2.dilate` of one channel with a full square of `side` pixels, whose anchor is at `side / 2` cut to a whole number: each
 * sample becomes the largest one under the square. What is outside the image does not count.
 */
export function dilateBySquare<P extends Pixels | FloatPixels>(pixels: P, side: number): P {
  return extremeUnderSquare(pixels, side, 1);
}

/** `cv2.erode` with such a square: each sample becomes the smallest one under it. */
export function erodeBySquare<P extends Pixels | FloatPixels>(pixels: P, side: number): P {
  return extremeUnderSquare(pixels, side, -1);
}

/** Along the rows, then along the columns. */
function extremeUnderSquare<P extends Pixels | FloatPixels>(pixels: P, side: number, sign: 1 | -1): P {
  const { width, height } = pixels;
  const data = pixels.data.slice();
  const longest = Math.max(width, height);
  const line = new Float32Array(longest);
  const places = new Int32Array(longest);
  const before = Math.floor(side / 2);

  /** A window is moved along the line; of what is under it only the places count that nothing after them exceeds. */
  function slide(start: number, length: number, step: number): void {
    for (let i = 0; i < length; i++) line[i] = sign * (data[start + i * step] ?? 0);
    let [first, count, next] = [0, 0, 0];
    for (let i = 0; i < length; i++) {
      const last = Math.min(length - 1, i - before + side - 1);
      for (; next <= last; next++) {
        const value = line[next] ?? 0;
        while (count > first && (line[places[count - 1] ?? 0] ?? 0) <= value) count--;
        places[count++] = next;
      }
      while ((places[first] ?? 0) < i - before) first++;
      data[start + i * step] = sign * (line[places[first] ?? 0] ?? 0);
    }
  }

  for (let y = 0; y < height; y++) slide(y * width, width, 1);
  for (let x = 0; x < width; x++) slide(x, height, width);
  return { ...pixels, data };
}
