import { expect, it } from 'vitest';
import { readImageProcessor, sizeFor, type ImageProcessor } from '#engine/vision/image-processor.ts';

const otherwise: ImageProcessor = { size: { width: 8, height: 8 }, filter: 'bilinear', mean: [0], std: [1] };

/* Sizes by transformers' get_size_with_aspect_ratio; 480 × 640 is the image of its integration tests. */
it.each([
  [{ width: 640, height: 480 }, { shortest_edge: 800, longest_edge: 1333 }, [1066, 800]],
  [{ width: 480, height: 640 }, { shortest_edge: 800, longest_edge: 1333 }, [800, 1066]],
  // The longer side decides: 1333 · 400 / 1600 = 333.25.
  [{ width: 1600, height: 400 }, { shortest_edge: 800, longest_edge: 1333 }, [1333, 333]],
  [{ width: 10, height: 10 }, { shortest_edge: 20 }, [20, 20]],
  [{ width: 640, height: 480 }, { height: 32, width: 48 }, [48, 32]],
  [{ width: 640, height: 480 }, [768, 512], [512, 768]],
  [{ width: 640, height: 480 }, 384, [384, 384]],
  [{ width: 640, height: 480 }, 'large', [8, 8]],
])('%j is resized by %j to %j', (image, size, expected) => {
  const { width, height } = sizeFor(image, readImageProcessor({ size }, otherwise).size);
  expect([width, height]).toEqual(expected);
});

it('reads filter and normalisation, and does without them', () => {
  const config = { resample: 3, image_mean: [0.1, 0.2, 0.3], image_std: [0.4, 0.5, 0.6] };
  const { filter, mean, std } = readImageProcessor(config, otherwise);
  expect([filter, mean, std]).toEqual(['bicubic', config.image_mean, config.image_std]);
  expect(readImageProcessor(undefined, otherwise)).toEqual(otherwise);
});
