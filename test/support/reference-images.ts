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
 * What "the same image" means. The references were drawn by native ONNX Runtime, which multiplies int8 weights with
 * activations rounded to int8: they differ from exact arithmetic, and from each other on another number of threads,
 * in single pixels by up to 83/255 (`qdq_matmulnbits_accuracy_level` 0 turns that off, and then agrees with us). So
 * the mean is what is held to, and how few values are further off than 8/255.
 */
export const SAME_IMAGE = { mean: 1, outliers: 0.01 } as const;
