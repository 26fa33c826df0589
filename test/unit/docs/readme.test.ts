import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeTables } from '../../docs/tables.ts';

const README = path.resolve(import.meta.dirname, '../../../README.md');

test("the README's tables are what `npm run docs` writes", async () => {
  const readme = await readFile(README, 'utf8');
  expect(await writeTables(readme, README)).toBe(readme);
});

test('a README without the marks is refused', async () => {
  await expect(writeTables('# Vitrine\n', README)).rejects.toThrow('lacks the marks');
});
