import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { inpaintFeature } from '#imaging/fooocus/inpaint-head.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openTorchArchive } from '#weights/torch-archive.ts';
import expected from '../../fixtures/fooocus-inpaint/expected.json' with { type: 'json' };
import { relativeError } from '../../support/relative-error.ts';

it('the head of Fooocus’ inpainting convolves mask and latents as numpy does, borders repeated', async () => {
  const file = readFileSync('test/fixtures/fooocus-inpaint/fooocus_inpaint_head.pth');
  const head = await openTorchArchive(new Blob([new Uint8Array(file)]), 'the head');
  const { height, width, values } = expected.feature;
  const area = height * width;
  const mask = Float32Array.from({ length: area }, (_, i) => (i % 3 === 0 ? 1 : 0));
  const data = Float32Array.from({ length: 4 * area }, (_, i) => Math.sin((area + i) * 0.7));
  const feature = inpaintFeature({ outputs: 16, inputs: 5, weights: await readFloat32(head, 'head') }, mask, {
    channels: 4,
    height,
    width,
    data,
  });
  expect(feature).toMatchObject({ channels: 16, height, width });
  expect(relativeError(feature.data, Float32Array.from(values))).toBeLessThan(1e-5);
});
