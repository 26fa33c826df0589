import { decodePng, encodePng, type Pixels } from '#codecs/png.ts';

/** Red, green and blue, 0 … 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** The mean colour of the pixels for which `includes` holds; x and y are shares of the sides, 0 … 1. */
export function meanColour(png: Uint8Array, includes: (x: number, y: number) => boolean): Colour {
  const { width, height, channels, data } = decodePng(png);
  const sum = [0, 0, 0];
  let count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!includes((x + 0.5) / width, (y + 0.5) / height)) continue;
      for (let c = 0; c < 3; c++) sum[c] = (sum[c] ?? 0) + (data[(y * width + x) * channels + c] ?? 0);
      count++;
    }
  }
  const [red = 0, green = 0, blue = 0] = sum.map((value) => value / count);
  return [red, green, blue];
}

/** How far two images of one size are apart, in steps of 1/255. */
export interface ImageDifference {
  mean: number;
  largest: number;
  /** Share of the values that differ by more than 8. */
  outliers: number;
}

/** Compares two PNG files of one size. @throws Error when the sizes differ */
export function compareImages(first: Uint8Array, second: Uint8Array): ImageDifference {
  const [a, b] = [decodePng(first), decodePng(second)];
  if (a.width !== b.width || a.height !== b.height) {
    throw new Error(`The images are ${sizeOf(a)} and ${sizeOf(b)}.`);
  }
  let sum = 0;
  let largest = 0;
  let outliers = 0;
  for (let pixel = 0; pixel < a.width * a.height; pixel++) {
    for (let c = 0; c < 3; c++) {
      const difference = Math.abs(
        (a.data[pixel * a.channels + c] ?? 0) - (b.data[pixel * b.channels + c] ?? 0),
      );
      sum += difference;
      largest = Math.max(largest, difference);
      if (difference > 8) outliers++;
    }
  }
  const values = a.width * a.height * 3;
  return { mean: sum / values, largest, outliers: outliers / values };
}

function sizeOf({ width, height }: Pixels): string {
  return `${width}×${height}`;
}

/** An image file with a colour for each pixel. */
export function pngOf(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [red: number, green: number, blue: number, alpha?: number],
): Blob {
  const data = Uint8Array.from(
    Array.from({ length: width * height }, (_, pixel) => {
      const [red, green, blue, alpha = 255] = colour(pixel % width, Math.floor(pixel / width));
      return [red, green, blue, alpha];
    }).flat(),
  );
  return new Blob([encodePng({ width, height, channels: 4, data })]);
}
