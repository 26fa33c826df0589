import type { Page } from '@playwright/test';
import { decodePng, type Pixels } from '#codecs/png.ts';

/** Runs one task of a client, by name, and reports how it went. Work throws Error when the result is not right. */
export type Attempt = (task: string, work: () => Promise<void>) => Promise<void>;

/** How a program that calls an image service is driven. */
export interface Client {
  name: string;
  /** A file in its folder by which it is known. */
  knownBy: string;
  /** The page to open, from its folder; null for a library, which is called from an empty page. */
  page: string | null;
  /**
   * Does what the client can do with images. Pages run strings here, not functions: a client's variables are those of
   * its scripts, unknown to TypeScript.
   * @param folder where the client is served, ending with a slash
   */
  drive(page: Page, folder: string, attempt: Attempt): Promise<void>;
}

/** The value of an expression in the page; its type is for the caller to know. */
export function evaluate<T>(page: Page, expression: string): Promise<T> {
  return page.evaluate<T>(expression);
}

/** Pixels of a PNG as a data URL or as bare base64. */
export function pixelsOf(text: string): Pixels {
  return decodePng(new Uint8Array(Buffer.from(text.replace(/^data:.*?,/, ''), 'base64')));
}

/** @throws Error when the image has another size, or hardly more than one colour */
export function expectImage(image: Pixels, width: number, height: number): void {
  if (image.width !== width || image.height !== height) {
    throw new Error(`The image is ${image.width}×${image.height}, not ${width}×${height}.`);
  }
  let [lowest, highest] = [255, 0];
  for (let i = 0; i < image.data.length; i += image.channels) {
    const value = image.data[i + 1] ?? 0;
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  if (highest - lowest < 32) throw new Error('The image has hardly more than one colour.');
}

/** Where a pixel is, in pixels from the upper left. */
export type Includes = (x: number, y: number) => boolean;

/** Mean difference of the colours of two images of one size, 0 … 255, over the pixels for which `includes` holds. */
export function meanDifference(a: Pixels, b: Pixels, includes: Includes = () => true): number {
  let [sum, count] = [0, 0];
  for (let pixel = 0; pixel < a.width * a.height; pixel++) {
    if (!includes(pixel % a.width, Math.floor(pixel / a.width))) continue;
    for (let c = 0; c < 3; c++, count++) {
      sum += Math.abs((a.data[pixel * a.channels + c] ?? NaN) - (b.data[pixel * b.channels + c] ?? NaN));
    }
  }
  return sum / count;
}

/** @throws Error unless the images differ where `changed` holds and are the same where `kept` holds */
export function expectChangedOnly(before: Pixels, after: Pixels, changed: Includes, kept: Includes): void {
  const inside = meanDifference(before, after, changed);
  const outside = meanDifference(before, after, kept);
  if (!(inside > 4)) throw new Error(`The masked part is as it was (mean difference ${inside.toFixed(1)}).`);
  if (!(outside < 2)) throw new Error(`What was to be kept has changed by ${outside.toFixed(1)} on average.`);
}
