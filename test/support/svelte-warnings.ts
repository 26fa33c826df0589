import { afterEach, beforeEach, expect, vi, type MockInstance } from 'vitest';

/** Set up for every browser test: one during which Svelte warns, of state changed by another than its owner for instance, fails. */
let warn: MockInstance<typeof console.warn>;

beforeEach(() => {
  warn = vi.spyOn(console, 'warn');
});

afterEach(() => {
  const texts = warn.mock.calls.map((words) => words.map(String).join(' '));
  warn.mockRestore();
  expect(texts.filter((text) => text.includes('[svelte]'))).toEqual([]);
});
