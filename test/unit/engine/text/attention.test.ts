import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAttention } from '#engine/text/attention.ts';
import { readFixture } from '../../../support/fixtures.ts';

type Piece = [text: string, weight: number];

function read(text: string): Piece[] {
  return parseAttention(text).map((piece) => [piece.text, Number(piece.weight.toFixed(5))]);
}

describe('parseAttention', () => {
  it.each<[string, Piece[]]>([
    ['red fox', [['red fox', 1]]],
    [
      'a (big) dog',
      [
        ['a ', 1],
        ['big', 1.1],
        [' dog', 1],
      ],
    ],
    ['((moon))', [['moon', 1.21]]],
    [
      '[dim] light',
      [
        ['dim', 0.90909],
        [' light', 1],
      ],
    ],
    [
      '(sun : 0.5 ) sky',
      [
        ['sun ', 0.5],
        [' sky', 1],
      ],
    ],
    ['(a:1.5', [['a:1.5', 1.1]]],
    [
      '(one (two:1.2))',
      [
        ['one ', 1.1],
        ['two', 1.32],
      ],
    ],
    ['x \\(y\\) z', [['x (y) z', 1]]],
    ['tail)', [['tail)', 1]]],
    ['ratio 16:9', [['ratio 16:9', 1]]],
    ['(a)(b)', [['ab', 1.1]]],
    [
      '(soft, [dull:1.2])',
      [
        ['soft, ', 1.1],
        ['dull:1.2', 1],
      ],
    ],
    [
      'cat BREAK dog',
      [
        ['cat', 1],
        ['BREAK', -1],
        ['dog', 1],
      ],
    ],
    ['', [['', 1]]],
    ['\\(literal\\]', [['(literal]', 1]]],
    [
      'a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).',
      [
        ['a ', 1],
        ['house', 1.573],
        [' ', 1.1],
        ['on', 1],
        [' a ', 1.1],
        ['hill', 0.55],
        [', sun, ', 1.1],
        ['sky', 1.4641],
        ['.', 1.1],
      ],
    ],
  ])('%j', (text, pieces) => {
    expect(read(text)).toEqual(pieces);
  });

  it.each(readFixture('prompts/attention.json') as { text: string; pieces: Piece[] }[])(
    'as A1111: $text',
    ({ text, pieces }) => {
      expect(parseAttention(text).map((piece) => [piece.text, piece.weight])).toEqual(pieces);
    },
  );

  it('keeps a break a break within brackets', () => {
    expect(read('(cat BREAK dog:1.2)')).toEqual([
      ['cat', 1.2],
      ['BREAK', -1],
      ['dog', 1.2],
    ]);
  });

  it('knows BREAK only as a whole word', () => {
    expect(read('BREAKFAST éBREAK BREAK_')).toEqual([['BREAKFAST éBREAK BREAK_', 1]]);
  });

  it('keeps a weight that is no number as text', () => {
    expect(read('(a:1.2.3)')).toEqual([['a:1.2.3', 1.1]]);
  });

  it('loses no text without brackets, backslashes and breaks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!/[()[\]\\]|BREAK/.test(text));
        expect(read(text)).toEqual([[text, 1]]);
      }),
    );
  });

  it('reads any mixture of brackets', () => {
    const pieces = fc.constantFrom('(', ')', '[', ']', ':1.5)', '\\', ':', 'a', ' BREAK ', ',');
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const read = parseAttention(parts.join(''));
        expect(read.length).toBeGreaterThan(0);
        expect(read.every(({ weight }) => Number.isFinite(weight))).toBe(true);
      }),
    );
  });
});
