import { AppError } from '#protocol/error.ts';
import { readCsvFields } from './csv.ts';

/** What the values of an axis are. */
export type XyzValueKind = 'int' | 'float' | 'string' | 'permutations';

/** A value of an axis; an array is an order of the prompt's parts. */
export type XyzValue = number | string | readonly string[];

// Signs may stand apart from their digits and any character may stand for the point, as in the webui's patterns;
// numbers that come out wrong are refused after that.
const INT = '\\s*([+-]?\\s*\\d+)\\s*-\\s*([+-]?\\s*\\d+)';
const FLOAT = '\\s*([+-]?\\s*\\d+(?:.\\d*)?)\\s*-\\s*([+-]?\\s*\\d+(?:.\\d*)?)';
const INT_RANGE = new RegExp(`^${INT}(?:\\s*\\(([+-]\\d+)\\s*\\))?\\s*$`);
const INT_COUNT = new RegExp(`^${INT}(?:\\s*\\[(\\d+)\\s*])?\\s*$`);
const FLOAT_RANGE = new RegExp(`^${FLOAT}(?:\\s*\\(([+-]\\d+(?:.\\d*)?)\\s*\\))?\\s*$`);
const FLOAT_COUNT = new RegExp(`^${FLOAT}(?:\\s*\\[(\\d+(?:.\\d*)?)\\s*])?\\s*$`);

/**
 * The values of an axis of the X/Y/Z plot from what was typed: a comma-separated list, of numbers also ranges such as
 * `1-5`, `1-5 (+2)` and `1-10 [5]`. Source: A1111 scripts/xyz_grid.py, `process_axis`.
 * @throws AppError `invalid_request` for text where a number is needed, and for steps of 0
 */
export function readXyzValues(kind: XyzValueKind, text: string): XyzValue[] {
  return convertXyzValues(kind, readCsvFields(text));
}

/** The same of values chosen from a list. */
export function convertXyzValues(kind: XyzValueKind, fields: readonly string[]): XyzValue[] {
  switch (kind) {
    case 'string':
      return [...fields];
    case 'permutations':
      return permutations(fields);
    case 'int':
      return fields.filter(isNotBlank).flatMap(readInts);
    case 'float':
      return fields.filter(isNotBlank).flatMap(readFloats);
  }
}

function isNotBlank(field: string): boolean {
  return field.trim() !== '';
}

/** Ranges include their end, downwards too, where the end is one too high: `5-1 (-2)` is 5, 3. */
function readInts(field: string): number[] {
  const range = INT_RANGE.exec(field);
  if (range) {
    const step = readInt(range[3] ?? '1');
    const end = readInt(range[2] ?? '') + 1;
    const values: number[] = [];
    if (step === 0) throw notANumber(field);
    for (let value = readInt(range[1] ?? ''); step > 0 ? value < end : value > end; value += step) {
      values.push(value);
    }
    return values;
  }
  const count = INT_COUNT.exec(field);
  if (!count) return [readInt(field)];
  return evenlySpaced(readInt(count[1] ?? ''), readInt(count[2] ?? ''), readInt(count[3] ?? '1')).map(
    Math.trunc,
  );
}

/** Ranges go to the end and one step beyond, the last value left out: `1-2 (+0.3)` ends at 2.2. */
function readFloats(field: string): number[] {
  const range = FLOAT_RANGE.exec(field);
  if (range) {
    const [start, end] = [readFloat(range[1] ?? ''), readFloat(range[2] ?? '')];
    const step = readFloat(range[3] ?? '1');
    if (step === 0) throw notANumber(field);
    const length = Math.max(Math.ceil((end + step - start) / step), 0);
    // numpy takes the step from the first two values, rounding included.
    const distance = start + step - start;
    return Array.from({ length }, (_, i) => (i === 1 ? start + step : start + i * distance));
  }
  const count = FLOAT_COUNT.exec(field);
  if (!count) return [readFloat(field)];
  return evenlySpaced(readFloat(count[1] ?? ''), readFloat(count[2] ?? ''), readInt(count[3] ?? '1'));
}

/** numpy's `linspace`. */
function evenlySpaced(start: number, end: number, count: number): number[] {
  const step = (end - start) / (count - 1);
  return Array.from({ length: count }, (_, i) =>
    i > 0 && i === count - 1 ? end : i === 0 ? start : i * step + start,
  );
}

function readInt(text: string): number {
  if (!/^\s*[+-]?\d+(?:_\d+)*\s*$/.test(text)) throw notANumber(text);
  return Number(text.replaceAll('_', ''));
}

function readFloat(text: string): number {
  const number = Number(text.replaceAll(/(?<=\d)_(?=\d)/g, ''));
  if (text.trim() === '' || !Number.isFinite(number) || /0[xob]/i.test(text)) throw notANumber(text);
  return number;
}

function notANumber(text: string): AppError {
  return new AppError(
    'invalid_request',
    `"${text}" is neither a number nor a range such as 1-5, 1-5 (+2) or 1-10 [5]. Correct the values of the axis.`,
  );
}

/** Every order, the first as given. Source: Python's `itertools.permutations`. */
function permutations(items: readonly string[]): string[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}
