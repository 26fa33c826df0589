import { expect, it } from 'vitest';
import { showsConcepts } from '#engine/vision/safety-concepts.ts';

/** The rule of diffusers' StableDiffusionSafetyChecker, on embeddings of two numbers. */
const image = Float32Array.of(3, 4);
/** As similar as this to the image: a cosine. */
const similar = (cosine: number) => {
  const sine = Math.sqrt(1 - cosine ** 2);
  return Float32Array.of(0.6 * cosine - 0.8 * sine, 0.8 * cosine + 0.6 * sine);
};
const check = (concept: number, limit: number, care: number, careLimit: number) =>
  showsConcepts(image, {
    concepts: similar(concept),
    limits: Float32Array.of(limit),
    specialCare: similar(care),
    specialCareLimits: Float32Array.of(careLimit),
  });

it.each([
  ['not as similar as the limit', 0.2, 0.205, false],
  ['more similar', 0.21, 0.205, true],
  ['more similar by less than half a thousandth', 0.2054, 0.205, false],
])('an image that is %s', (_, concept, limit, expected) => {
  expect(check(concept, limit, 0.1, 0.2)).toBe(expected);
});

it('takes a hundredth off the limits where special care is needed, and no more', () => {
  expect(check(0.2, 0.205, 0.3, 0.2)).toBe(true);
  expect(check(0.19, 0.205, 0.3, 0.2)).toBe(false);
  // Nothing but special care is no reason.
  expect(check(-0.5, 0.205, 0.3, 0.2)).toBe(false);
});
