import * as v from 'valibot';
import { defineFields, type Field } from '#api/fields.ts';
import { parameters, type Rows } from '#api/parameters.ts';

/*
 * Fields as the service reads them: numbers and switches may come as text, `null` and blank text are the same as
 * absence. A rule that is broken is the rest of a sentence that begins with the parameter's name.
 */

const SWITCH_WORDS: Readonly<Record<string, boolean>> = {
  yes: true,
  true: true,
  1: true,
  on: true,
  no: false,
  false: false,
  0: false,
  off: false,
};

const readNumber = (value: unknown) => (typeof value === 'boolean' ? value : Number(value));

const f = defineFields({
  integer: readNumber,
  number: readNumber,
  boolean: (value) => SWITCH_WORDS[String(value).trim().toLowerCase()] ?? value,
  string: (value) => (typeof value === 'number' || typeof value === 'bigint' ? String(value) : value),
});

/** What the rules of the common fields are called in this service's sentences. */
export const RULE_WORDS: Readonly<Record<string, string>> = {
  missing: 'is required',
  object: 'must be an object',
  boolean: 'must be yes or no',
  string: 'must be a string',
};

/** A body of such fields. */
export const body = <const R extends Rows>(rows: R) =>
  parameters(rows, {
    isAbsent: (value) => value === null || (typeof value === 'string' && value.trim() === ''),
  });

/** A switch: `"yes"`/`"no"`, `"true"`/`"false"` or a boolean. */
export const yesNo = f.boolean;

/** A text; numbers are read as their digits. */
export const text = f.string;

/** A whole number within bounds. */
export function integer(min: number, max: number): Field<number> {
  return v.pipe(number(min, max), v.integer(rangeSentence(min, max)));
}

/** A number within bounds. */
export function number(min: number, max: number): Field<number> {
  const sentence = rangeSentence(min, max);
  return v.pipe(
    v.unknown(),
    v.transform(readNumber),
    v.number(sentence),
    v.minValue(min, sentence),
    v.maxValue(max, sentence),
  );
}

const rangeSentence = (min: number, max: number) => `must be between ${min} and ${max}`;

/** One of `names`, compared without regard to case. */
export function oneOf<const T extends string>(names: readonly T[]): Field<T> {
  return v.pipe(
    v.unknown(),
    v.transform((value) => names.find((name) => name.toLowerCase() === String(value).trim().toLowerCase())),
    v.picklist(names, `must be one of: ${names.join(', ')}`),
  );
}

/** A list with commas of names. */
export function listOf<const T extends string>(names: readonly T[]): Field<T[]> {
  const sentence = `must be a list of: ${names.join(', ')}`;
  return v.pipe(
    text(),
    v.transform((list) => list.split(',').map((word) => word.trim().toLowerCase())),
    v.array(v.picklist(names, sentence)),
  );
}

/** A seed of up to 64 bits; null, for a random one, if negative. */
export function seed(): Field<bigint | null> {
  const sentence = 'must be an integer';
  return v.pipe(
    v.unknown(),
    v.transform((value) => (/^\s*-?\d+\s*$/.test(String(value)) ? BigInt(String(value)) : value)),
    v.bigint(sentence),
    v.maxValue((1n << 64n) - 1n, sentence),
    v.transform((value) => (value < 0n ? null : value)),
    v.nullable(v.bigint()),
  );
}
