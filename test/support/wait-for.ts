import { vi } from 'vitest';

/**
 * Waits until something holds, with patience for a busy machine: it is not how fast that is tested.
 * @param options milliseconds
 */
export function waitFor<T>(
  isTrue: () => T | Promise<T>,
  options: { timeout?: number; interval?: number } = {},
): Promise<T> {
  return vi.waitFor(isTrue, { timeout: 60_000, ...options });
}
