import { parseJson } from '#codecs/json.ts';
import { defineFields, type Field } from '#api/fields.ts';
import { pydantic2 } from '#api/fastapi.ts';
import { parameters, type Rows } from '#api/parameters.ts';
import * as v from 'valibot';

/** Fields as Fooocus-API reads them. */
export const fields = defineFields(pydantic2);

/** One or several parts, each a list with commas. */
export function commaList<T>(item: Field<T>): Field<T[]> {
  return v.pipe(
    v.unknown(),
    v.transform((value) =>
      (Array.isArray(value) ? value : [value]).flatMap((part: unknown) =>
        typeof part === 'string'
          ? part
              .split(',')
              .map((word) => word.trim())
              .filter(Boolean)
          : [part],
      ),
    ),
    fields.list(item),
  );
}

/** A part with JSON. */
export function jsonPart<T>(field: Field<T>): Field<T> {
  return v.pipe(
    v.unknown(),
    v.transform((value) => {
      if (typeof value !== 'string') return value;
      try {
        return parseJson(value);
      } catch {
        return value;
      }
    }),
    field,
  );
}

/** Parts that may be empty lists. */
const LISTS = ['style_selections', 'outpaint_selections'];

/** Parameters of a form: empty parts count as not sent, except for lists. */
export function form<const R extends Rows>(rows: R) {
  return parameters(rows, { isAbsent: (value, name) => value === '' && !LISTS.includes(name) });
}
