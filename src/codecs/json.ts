/** Marks an integer that a double cannot hold, while it is a string between the text and the value. */
const MARK = '\u0001integer:';

/** Strings are matched so that digits inside them are left alone. */
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|-?\b\d{16,}\b(?![.eE])/g;

/**
 * `JSON.parse` that keeps integers beyond 2^53 exact, as bigints. Seeds need all of their 64 bits.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  if (!/\d{16,}/.test(text)) return JSON.parse(text) as unknown;
  const marked = text.replace(STRING_OR_LONG_INTEGER, (match) =>
    match.startsWith('"') ? match : `"${MARK}${match}"`,
  );
  // Marked text hides nothing from the parser: a long integer stands where a string may stand too, bar keys.
  return JSON.parse(marked.replaceAll(`${MARK}`, '\\u0001integer:'), (_key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(MARK)) return value;
    const integer = BigInt(value.slice(MARK.length));
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : integer;
  }) as unknown;
}

/** `JSON.stringify` that writes bigints as integers. */
export function stringifyJson(value: unknown): string {
  let marked = false;
  const text = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'bigint') return item;
    marked = true;
    return `${MARK}${item}`;
  });
  return marked ? text.replace(/"\\u0001integer:(-?\d+)"/g, '$1') : text;
}
