import { createPixels, greyToRgb, type Pixels } from '#imaging/pixels.ts';

/** Brightness of a colour in 8 bits: ITU-R 601 in fixed point. Source: Pillow src/libImaging/Convert.c, `L24`. */
function luminance(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/** Grey from any image; alpha is dropped. Pillow's `convert('L')`. */
export function toGrey(pixels: Pixels): Pixels {
  const { channels, data } = pixels;
  if (channels === 1) return pixels;
  const grey = createPixels(pixels, 1);
  for (let i = 0; i < grey.data.length; i++) {
    const at = i * channels;
    grey.data[i] = luminance(data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0);
  }
  return grey;
}

/** RGB from any image; alpha is dropped. Pillow's `convert('RGB')`. */
export function toRgb(pixels: Pixels): Pixels {
  if (pixels.channels === 3) return pixels;
  if (pixels.channels === 1) return greyToRgb(pixels);
  const rgb = createPixels(pixels, 3);
  // One by one: a view of each pixel would be garbage.
  for (let i = 0, from = 0; i < rgb.data.length; i += 3, from += 4) {
    rgb.data[i] = pixels.data[from] ?? 0;
    rgb.data[i + 1] = pixels.data[from + 1] ?? 0;
    rgb.data[i + 2] = pixels.data[from + 2] ?? 0;
  }
  return rgb;
}

/** RGBA from any image, opaque where it had no alpha. Pillow's `convert('RGBA')`. */
export function toRgba(pixels: Pixels): Pixels {
  if (pixels.channels === 4) return pixels;
  const rgb = toRgb(pixels);
  const rgba = createPixels(pixels, 4, 255);
  for (let i = 0, to = 0; i < rgb.data.length; i += 3, to += 4) {
    rgba.data[to] = rgb.data[i] ?? 0;
    rgba.data[to + 1] = rgb.data[i + 1] ?? 0;
    rgba.data[to + 2] = rgb.data[i + 2] ?? 0;
  }
  return rgba;
}

/** The negative of a grey or RGB image. Pillow's `ImageOps.invert`. */
export function invert(pixels: Pixels): Pixels {
  return { ...pixels, data: pixels.data.map((sample) => 255 - sample) };
}
