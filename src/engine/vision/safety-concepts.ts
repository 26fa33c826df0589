/** What a CompVis safety checker compares an image with. */
export interface SafetyConcepts {
  /** Embeddings one after the other, each as wide as the image's, and how similar an image may be to each. */
  concepts: Float32Array;
  limits: Float32Array;
  /** The same of what only lowers the limits of the concepts. */
  specialCare: Float32Array;
  specialCareLimits: Float32Array;
}

/** By how much limits are lower where special care is needed. */
const CARE = 0.01;

/**
 * Whether an image shows any of the concepts.
 * @param embedding of the image, as CLIP projects it
 * Source: diffusers, pipelines/stable_diffusion/safety_checker.py, `StableDiffusionSafetyChecker.forward`.
 */
export function showsConcepts(embedding: Float32Array, concepts: SafetyConcepts): boolean {
  const needsCare = anyAbove(embedding, concepts.specialCare, concepts.specialCareLimits, 0);
  return anyAbove(embedding, concepts.concepts, concepts.limits, needsCare ? CARE : 0);
}

function anyAbove(image: Float32Array, all: Float32Array, limits: Float32Array, adjustment: number): boolean {
  return limits.some((limit, index) => {
    const concept = all.subarray(index * image.length, (index + 1) * image.length);
    // Rounded to three digits, as there.
    return Math.round((cosine(image, concept) - limit + adjustment) * 1000) > 0;
  });
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, squareA, squareB] = [0, 0, 0];
  a.forEach((value, i) => {
    const other = b[i] ?? 0;
    product += value * other;
    squareA += value * value;
    squareB += other * other;
  });
  return product / Math.max(Math.sqrt(squareA * squareB), 1e-12);
}
