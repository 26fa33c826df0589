import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseJson, stringifyJson } from '#codecs/json.ts';

it('keeps integers beyond 2^53 exact, and leaves digits in strings and keys alone', () => {
  const text =
    '{"seed":18446744073709551615,"low":-9223372036854775808,"safe":9007199254740991,' +
    '"text":"18446744073709551615","image":"\\"1234567890123456","1234567890123456":1,"real":1234567890123456.5}';
  const value = parseJson(text);
  expect(value).toEqual({
    seed: 18446744073709551615n,
    low: -9223372036854775808n,
    safe: 9007199254740991,
    text: '18446744073709551615',
    image: '"1234567890123456',
    1234567890123456: 1,
    real: 1234567890123456.5,
  });
  expect(parseJson(stringifyJson(value))).toEqual(value);
});

it('is JSON.parse for everything else', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(stringifyJson(parseJson(text)))).toEqual(JSON.parse(text));
    }),
  );
  expect(() => parseJson('{1234567890123456: 1}')).toThrow(SyntaxError);
  expect(() => parseJson('{"seed":1234567890123456789012,}')).toThrow(SyntaxError);
});
