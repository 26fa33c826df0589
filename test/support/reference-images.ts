import { readFileSync } from 'node:fs';
import path from 'node:path';

/** An image drawn by diffusers' schedulers with the built-in model; origin in test/fixtures/README.md. */
export interface ReferenceImage {
  name: string;
  scheduler: string;
  prompt: string;
  negative_prompt: string;
  num_inference_steps: number;
  guidance_scale: number;
  seed: number;
  png: Uint8Array;
}

const FOLDER = path.resolve(import.meta.dirname, '../fixtures/emoji-mini');

/** The reference images of the built-in model. */
export function readReferenceImages(): ReferenceImage[] {
  const cases = JSON.parse(readFileSync(path.join(FOLDER, 'cases.json'), 'utf8')) as Omit<
    ReferenceImage,
    'png'
  >[];
  return cases.map((reference) => ({
    ...reference,
    png: new Uint8Array(readFileSync(path.join(FOLDER, `${reference.name}.png`))),
  }));
}

/**
 * What "the same image" means. The references were made by native ONNX Runtime from an export whose int8 weights were rounded
 * apart from the ones the app serves, and it multiplies them with activations rounded to int8: its images differ from exact
 * arithmetic, and from each other on another number of threads, in single pixels by up to 83/255. With the float16 weights the
 * means are 0.7 to 1.4 and at most 1.2 % of the values are further off than 8/255; with the weights served they are 0.8 to 1.3
 * and at most 1.2 %.
 */
export const SAME_IMAGE = { mean: 1.5, outliers: 0.02 } as const;
