import { createPixels, type Pixels } from '#imaging/pixels.ts';

/** A value of 16 bits by 255, rounded, without division. Source: Pillow src/libImaging/ImagingUtils.h, `DIV255`. */
export function divideBy255(value: number): number {
  const shifted = value + 128;
  return ((shifted >> 8) + shifted) >> 8;
}

/** RGBA with the colours multiplied by alpha: Pillow's mode RGBa. */
export function premultiply({ width, height, data }: Pixels): Pixels {
  const result = createPixels({ width, height }, 4);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] ?? 0;
    for (let channel = 0; channel < 3; channel++)
      result.data[i + channel] = divideBy255((data[i + channel] ?? 0) * alpha);
    result.data[i + 3] = alpha;
  }
  return result;
}

/** RGBA from Pillow's mode RGBa: colours divided by alpha, truncated. */
export function unpremultiply({ width, height, data }: Pixels): Pixels {
  const result = createPixels({ width, height }, 4);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] ?? 0;
    for (let channel = 0; channel < 3; channel++) {
      const colour = data[i + channel] ?? 0;
      result.data[i + channel] = alpha === 0 || alpha === 255 ? colour : Math.trunc((255 * colour) / alpha);
    }
    result.data[i + 3] = alpha;
  }
  return result;
}
