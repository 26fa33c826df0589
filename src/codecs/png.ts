import { decode, encode } from 'fast-png';
import { writePngText, type PngText } from './png-text.ts';

/** Pixels in rows from the top, 8 bits per channel, 3 (RGB) or 4 (RGBA) channels. */
export interface Pixels {
  width: number;
  height: number;
  channels: 3 | 4;
  data: Uint8Array | Uint8ClampedArray;
}

/** A PNG file of these pixels, with texts such as A1111's `parameters`. Same input, same bytes. */
export function encodePng(
  { width, height, channels, data }: Pixels,
  text: PngText = {},
): Uint8Array<ArrayBuffer> {
  return writePngText(encode({ width, height, channels, depth: 8, data }), text);
}

/**
 * The pixels of a PNG file, as RGB or RGBA with 8 bits whatever the file has: grey is spread, palettes are
 * looked up, the low byte of 16 bits is dropped.
 * @throws RangeError, Error when the file is broken
 */
export function decodePng(png: Uint8Array): Pixels {
  const { width, height, channels, depth, data, palette } = decode(png);
  const samples = depth === 16 ? Uint8Array.from(data, (value) => value >> 8) : Uint8Array.from(data);
  if (palette) return lookUp(width, height, samples, palette, depth);
  if (channels >= 3) return { width, height, channels: channels === 3 ? 3 : 4, data: samples };
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  const spread = channels === 1 ? 3 : 4;
  const pixels = new Uint8Array(width * height * spread);
  for (let pixel = 0; pixel < width * height; pixel++) {
    pixels.fill((samples[pixel * channels] ?? 0) * scale, pixel * spread, pixel * spread + 3);
    if (spread === 4) pixels[pixel * 4 + 3] = samples[pixel * 2 + 1] ?? 255;
  }
  return { width, height, channels: spread, data: pixels };
}

function lookUp(
  width: number,
  height: number,
  indices: Uint8Array,
  palette: number[][],
  depth: number,
): Pixels {
  const channels = palette.some((colour) => colour.length === 4) ? 4 : 3;
  const pixels = new Uint8Array(width * height * channels);
  const bytesPerRow = Math.ceil((width * depth) / 8);
  const mask = 2 ** depth - 1;
  for (let pixel = 0; pixel < width * height; pixel++) {
    // fast-png leaves indices below 8 bits packed, rows padded to whole bytes.
    const column = pixel % width;
    const bit = column * depth;
    const byte = indices[Math.floor(pixel / width) * bytesPerRow + (bit >> 3)] ?? 0;
    const colour = palette[(byte >> (8 - depth - (bit & 7))) & mask] ?? [];
    for (let channel = 0; channel < channels; channel++)
      pixels[pixel * channels + channel] = colour[channel] ?? 255;
  }
  return { width, height, channels, data: pixels };
}
