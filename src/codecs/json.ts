/** Marks an integer that a double cannot hold while it travels as a string. As JSON writes it. */
const MARK = '\\u0001integer:';
/** The same mark in a string's value. */
const MARK_VALUE = '\u0001integer:';

/** Strings are matched so that digits inside them are left alone. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;

const LONG_INTEGER = /^-?\d{16,}$/;

/**
 * `JSON.parse` that keeps integers beyond 2^53 exact, as bigints. Seeds need all of their 64 bits.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  // Find all errors of the text here: the marks added later could hide them.
  const plain: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return plain;
  const marked = text.replace(STRING_OR_NUMBER, (match) =>
    LONG_INTEGER.test(match) ? `"${MARK}${match}"` : match,
  );
  return JSON.parse(marked, (_key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(MARK_VALUE)) return value;
    const integer = BigInt(value.slice(MARK_VALUE.length));
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : integer;
  }) as unknown;
}

/** `JSON.stringify` that writes bigints as integers. */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? `${MARK_VALUE}${item}` : item,
  );
  return text.includes(MARK) ? text.replace(/"\\u0001integer:(-?\d+)"/g, '$1') : text;
}

/** A text as JSON within ASCII, as Python's `json.dumps` writes it: everything beyond is escaped. */
export function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Whether parsed JSON is an object: neither an array nor null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
