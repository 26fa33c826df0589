import * as v from 'valibot';
import type { Invalid, Rule } from './errors.ts';

/** A value on the wire that becomes a `T`, or is refused. */
export type Field<T> = v.GenericSchema<unknown, T>;

/**
 * What a server reads as a number, a truth value, a text. Each function returns what it cannot read unchanged,
 * and the field's schema then refuses it.
 */
export interface Coercion {
  integer(value: unknown): unknown;
  number(value: unknown): unknown;
  boolean(value: unknown): unknown;
  string(value: unknown): unknown;
}

export interface Bounds {
  min?: number;
  above?: number;
  max?: number;
}

const rule = (name: Rule): Rule => name;

function boundActions({ min, above, max }: Bounds) {
  return [
    ...(min === undefined ? [] : [v.minValue<number, number, Rule>(min, 'min')]),
    ...(above === undefined ? [] : [v.gtValue<number, number, Rule>(above, 'above')]),
    ...(max === undefined ? [] : [v.maxValue<number, number, Rule>(max, 'max')]),
  ];
}

function toBigInt(value: unknown): unknown {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}

/** Builders of fields that read values as a given server does. */
export function defineFields(coercion: Coercion) {
  return {
    integer: (bounds: Bounds = {}): Field<number> =>
      v.pipe(
        v.pipe(
          v.unknown(),
          v.transform((value) => coercion.integer(value)),
          v.number(rule('integer')),
          v.integer(rule('integer')),
        ),
        ...boundActions(bounds),
      ),
    /** An integer beyond what a double holds exactly: seeds. */
    bigInteger: (): Field<bigint> =>
      v.pipe(
        v.unknown(),
        v.transform((value) => toBigInt(coercion.integer(value))),
        v.bigint(rule('integer')),
      ),
    number: (bounds: Bounds = {}): Field<number> =>
      v.pipe(
        v.pipe(
          v.unknown(),
          v.transform((value) => coercion.number(value)),
          v.number(rule('number')),
        ),
        ...boundActions(bounds),
      ),
    boolean: (): Field<boolean> =>
      v.pipe(
        v.unknown(),
        v.transform((value) => coercion.boolean(value)),
        v.boolean(rule('boolean')),
      ),
    string: (): Field<string> =>
      v.pipe(
        v.unknown(),
        v.transform((value) => coercion.string(value)),
        v.string(rule('string')),
      ),
    oneOf: <const Values extends readonly (string | number)[]>(values: Values): Field<Values[number]> =>
      v.pipe(v.unknown(), v.picklist(values, rule('one_of'))),
    list: <T>(item: Field<T>): Field<T[]> => v.array(item, rule('list')),
    dictionary: <T>(value: Field<T>): Field<Record<string, T>> => v.record(v.string(), value, rule('object')),
    /** Anything at all. */
    json: (): Field<unknown> => v.unknown(),
    /** Absent and null both mean the default. */
    optional: <T, const Default extends T | null>(field: Field<T>, fallback: Default) =>
      v.nullish(field, fallback),
    model: <const Entries extends v.ObjectEntries>(entries: Entries) =>
      v.object(entries, (issue) => rule(issue.path ? 'missing' : 'object')),
  };
}

/** The value as the schema reads it, or all that is wrong with it. */
export function validate<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  where: Invalid['in'],
): { value: v.InferOutput<Schema> } | { invalid: Invalid[] } {
  // valibot takes an array for an object.
  const subject = Array.isArray(value) && schema.type !== 'array' ? undefined : value;
  const result = v.safeParse(schema, subject);
  if (result.success) return { value: result.output };
  return {
    invalid: result.issues.map((issue) => ({
      in: where,
      path: (issue.path ?? []).map((item) => (typeof item.key === 'number' ? item.key : String(item.key))),
      rule: issue.message,
      // What lacks a key is the object, not the key.
      input:
        issue.message === 'missing'
          ? issue.path?.at(-1)?.input
          : issue.path === undefined
            ? value
            : issue.input,
      requirement: issue.type === 'picklist' ? allowedValues(issue.expected) : issue.requirement,
    })),
  };
}

/** valibot only gives the allowed values as text: `("a" | "b")`, or the bare value when there is one. */
function allowedValues(expected: string | null): unknown {
  const list = (expected ?? '').replace(/^\(|\)$/g, '').split(' | ');
  return list.map((value): unknown => JSON.parse(value));
}
