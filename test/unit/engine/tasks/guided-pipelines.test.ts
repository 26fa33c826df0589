import path from 'node:path';
import { expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { comparePanoramas, compareSelfAttention } from '../../../parity/images/diffusers-windows.ts';
import { openReferences } from '../../../parity/images/image-kind.ts';
import { textToImage } from '../../../support/jobs.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, generate } from '../../../support/tiny-packs.ts';

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

test('a panorama reaches to its ends also where no window ends there, and goes with the options of graphs', async () => {
  const model = await tinyModel();
  const engine = engineFor([model]);
  const job = textToImage({
    prompt: 'hills',
    seeds: [1n],
    steps: 2,
    width: 600,
    height: 64,
    panorama: { circular: false },
    graph: { tokenMerging: 0.5 },
  });
  const { images, pngs } = await generate(engine, model, job);
  expect(images).toMatchObject([{ width: 600, height: 64 }]);
  const { data, channels } = decodePng(pngs[0] ?? new Uint8Array());
  const lastColumns = Array.from({ length: 64 }, (_, y) => data[(y * 600 + 599) * channels] ?? 0);
  expect(new Set(lastColumns).size).toBeGreaterThan(8);
  await engine.unload();
});
