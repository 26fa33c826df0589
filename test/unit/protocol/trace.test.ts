import { expect, it } from 'vitest';
import { TRACE_PREFIX, traced } from '#protocol/trace.ts';

const entriesOf = (part: string) => performance.getEntriesByName(`${TRACE_PREFIX}${part}`, 'measure');

it('notes the first time of a part, also when it fails, and hands on what comes of it', async () => {
  expect(await traced('read', () => Promise.resolve(7))).toBe(7);
  expect(await traced('read', () => Promise.resolve(8))).toBe(8);
  expect(entriesOf('read')).toHaveLength(1);
  await expect(traced('open', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  expect(entriesOf('open')).toHaveLength(1);
});
