import type { Pixels } from '#imaging/pixels.ts';

/** One image seen through another of the same size, cut to whole numbers: Pillow's `Image.blend`. @param visibility 0 … 1, of the one above */
export function blend(below: Pixels, above: Pixels, visibility: number): Pixels {
  const data = new Uint8ClampedArray(below.data.length);
  for (let i = 0; i < data.length; i++) {
    const value = below.data[i] ?? 0;
    data[i] = Math.floor(value + visibility * ((above.data[i] ?? 0) - value));
  }
  return { ...below, data };
}
