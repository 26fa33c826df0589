import path from 'node:path';
import { expect, test } from 'vitest';
import { comparePanoramas, compareSelfAttention } from '../../../parity/images/diffusers-windows.ts';
import { openReferences } from '../../../parity/images/image-kind.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

test.each([
  ['self-attention guidance', 'diffusers-sag', compareSelfAttention, 8],
  ['a panorama, also a circular one', 'diffusers-panorama', comparePanoramas, 5],
] as const)('%s is that of diffusers', async (_, kind, compare, lines) => {
  let count = 0;
  for await (const { name, error, tolerance, note } of compare(openReferences(FIXTURES, kind))) {
    expect(error, `${name} ${note ?? ''}`).toBeLessThanOrEqual(tolerance);
    count++;
  }
  expect(count).toBe(lines);
});
