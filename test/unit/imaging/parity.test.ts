import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { imageKinds } from '../../parity/images/index.ts';

const folder = fileURLToPath(new URL('../../fixtures/images', import.meta.url));

const kinds = readdirSync(folder).flatMap((kind) => {
  const run = imageKinds[kind];
  return run ? [{ kind, run }] : [];
});

describe('image arithmetic against the reference programs', () => {
  it.each(kinds)('$kind', async ({ run }) => {
    const results = await run(folder);
    expect(results).not.toHaveLength(0);
    expect(results.filter(({ error, tolerance }) => !(error <= tolerance))).toEqual([]);
  });
});
