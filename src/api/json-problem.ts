import type { JsonProblem } from './errors.ts';

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const LITERAL = /null|true|false|NaN|-?Infinity/y;
const PROPERTY_NAME = 'Expecting property name enclosed in double quotes';

class Malformed extends SyntaxError {
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

function skip(pattern: RegExp, text: string, position: number): number {
  pattern.lastIndex = position;
  return pattern.test(text) ? pattern.lastIndex : position;
}

/** @returns the position after the string whose quote is at `start` */
function scanString(text: string, start: number): number {
  for (let position = start + 1; position < text.length; position++) {
    const character = text.charAt(position);
    if (character === '"') return position + 1;
    if (character < ' ') throw new Malformed('Invalid control character at', position);
    if (character !== '\\') continue;
    const escape = text.charAt(++position);
    if (escape === 'u') {
      if (!/^[\da-fA-F]{4}$/.test(text.slice(position + 1, position + 5))) {
        throw new Malformed('Invalid \\uXXXX escape', position);
      }
    } else if (escape !== '' && !'"\\/bfnrt'.includes(escape)) {
      throw new Malformed('Invalid \\escape', position - 1);
    }
  }
  throw new Malformed('Unterminated string starting at', start);
}

/** Scans `item`, `item` … up to `close`; `position` is after the opening bracket. */
function scanItems(
  text: string,
  start: number,
  close: string,
  scanItem: (position: number) => number,
): number {
  let position = skip(SPACE, text, start);
  if (text[position] === close) return position + 1;
  for (;;) {
    position = skip(SPACE, text, scanItem(position));
    if (text[position] === close) return position + 1;
    if (text[position] !== ',') throw new Malformed("Expecting ',' delimiter", position);
    position = skip(SPACE, text, position + 1);
  }
}

function scanValue(text: string, position: number): number {
  const character = text[position];
  if (character === '"') return scanString(text, position);
  if (character === '[') return scanItems(text, position + 1, ']', (item) => scanValue(text, item));
  if (character === '{') {
    return scanItems(text, position + 1, '}', (key) => {
      if (text[key] !== '"') throw new Malformed(PROPERTY_NAME, key);
      const colon = skip(SPACE, text, scanString(text, key));
      if (text[colon] !== ':') throw new Malformed("Expecting ':' delimiter", colon);
      return scanValue(text, skip(SPACE, text, colon + 1));
    });
  }
  const end = Math.max(skip(LITERAL, text, position), skip(NUMBER, text, position));
  if (end === position) throw new Malformed('Expecting value', position);
  return end;
}

/** Where and why JSON is malformed, in the words of Python's `json` module, which FastAPI passes on. */
export function findJsonProblem(text: string): JsonProblem {
  try {
    const end = skip(SPACE, text, scanValue(text, skip(SPACE, text, 0)));
    // NaN and Infinity are values to Python alone, and none of our parameters can be one.
    if (end === text.length) return { message: 'Expecting value', position: 0, text };
    return { message: 'Extra data', position: end, text };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { message: error.message, position: error.position, text };
  }
}
