import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '#engine/text/schedule.ts';
import { readFixture } from '../../../support/fixtures.ts';

type Entry = [until: number, text: string];

function read(text: string, steps = 10, firstPassSteps?: number): Entry[] {
  return parseSchedule(text, { steps, ...(firstPassSteps !== undefined && { firstPassSteps }) }).map(
    ({ until, text }) => [until, text],
  );
}

describe('parseSchedule', () => {
  it.each<[string, Entry[]]>([
    [
      'x [y:3]',
      [
        [3, 'x '],
        [10, 'x y'],
      ],
    ],
    [
      'x [y:.5] z',
      [
        [5, 'x  z'],
        [10, 'x y z'],
      ],
    ],
    [
      'x [p : q : 1] z',
      [
        [1, 'x p  z'],
        [10, 'x  q  z'],
      ],
    ],
    [
      'x[p:[q:r:2]:1]z',
      [
        [1, 'xpz'],
        [2, 'xqz'],
        [10, 'xrz'],
      ],
    ],
    ['x [open', [[10, 'x [open']]],
    [
      '[(y:2):3]',
      [
        [3, ''],
        [10, '(y:2)'],
      ],
    ],
    ['x [y:1.5]', [[10, 'x ']]],
    [
      'x [y::4]',
      [
        [4, 'x y'],
        [10, 'x '],
      ],
    ],
    [
      '((a][:b:c [d:3]',
      [
        [3, '((a][:b:c '],
        [10, '((a][:b:c d'],
      ],
    ],
  ])('%j', (text, entries) => {
    expect(read(text)).toEqual(entries);
  });

  it('counts fractions from 1 and steps from the first pass in a hires pass', () => {
    expect(read('x [y:1.5]', 10, 10)).toEqual([
      [5, 'x '],
      [10, 'x y'],
    ]);
    expect(read('x [y:.5]', 10, 10)).toEqual([[10, 'x y']]);
    expect(read('x [y:12]', 10, 10)).toEqual([
      [2, 'x '],
      [10, 'x y'],
    ]);
  });

  it('alternates step by step, also with nothing', () => {
    expect(read('[a|b|c]', 4)).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'a'],
    ]);
    expect(read('[fe|]male', 3)).toEqual([
      [1, 'female'],
      [2, 'male'],
      [3, 'female'],
    ]);
  });

  it.each(readFixture('prompts/schedules.json') as { text: string; first: Entry[]; hires: Entry[] }[])(
    'as A1111: $text',
    ({ text, first, hires }) => {
      expect(read(text)).toEqual(first);
      expect(read(text, 8, 10)).toEqual(hires);
    },
  );

  it('leaves text without square brackets as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('['));
        expect(read(text)).toEqual([[10, text]]);
      }),
    );
  });

  it('reads any mixture of brackets, in rising order up to the last step', () => {
    const pieces = fc.constantFrom('[', ']', '(', ')', ':', '|', '3', ':.5]', ':2]', 'a', ' ', '\\');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (parts, steps) => {
        const ends = read(parts.join(''), steps).map(([until]) => until);
        expect(ends.at(-1)).toBe(steps);
        expect(ends).toEqual([...new Set(ends)].sort((a, b) => a - b));
      }),
    );
  });

  it('takes brackets nested beyond reason as text', () => {
    const text = `${'['.repeat(5000)}a${':1]'.repeat(5000)}`;
    expect(read(text)).toEqual([[10, text]]);
  });
});
