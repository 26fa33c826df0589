import { readFileSync } from 'node:fs';

/** The parsed JSON of a file in test/fixtures; the caller knows its shape. */
export function readFixture(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'utf8'));
}
