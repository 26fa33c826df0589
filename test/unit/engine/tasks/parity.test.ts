import path from 'node:path';
import { expect, test } from 'vitest';
import { cases } from '../../../parity/pipelines.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

test('the app generates what the pipelines of diffusers generate', async () => {
  const checked: string[] = [];
  for await (const { name, error, tolerance, note } of cases(FIXTURES)) {
    expect(error, `${name} ${note ?? ''}`).toBeLessThanOrEqual(tolerance);
    checked.push(name);
  }
  expect(checked).toEqual(
    expect.arrayContaining([
      'pipelines/euler-a image',
      'pipelines/img2img latents',
      'pipelines/inpaint latents',
    ]),
  );
});
