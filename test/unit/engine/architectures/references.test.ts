import path from 'node:path';
import { expect, test } from 'vitest';
import { cases } from '../../../parity/models.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

test('every network computes what diffusers and transformers compute', async () => {
  const checked: string[] = [];
  for await (const { name, error, tolerance, note } of cases(FIXTURES)) {
    expect(error, `${name} ${note ?? ''}`).toBeLessThanOrEqual(tolerance);
    checked.push(name);
  }
  expect(checked).toEqual(
    expect.arrayContaining([
      'checkpoint-names/sd15 unet',
      'checkpoint-names/sdxl text_encoder_2',
      'models/autoencoder-kl decoded',
      'models/autoencoder-tiny encoded',
      'models/clip-vision image_embeds',
      'models/controlnet unet_sample',
      'models/unet-sd1 sample',
    ]),
  );
});
