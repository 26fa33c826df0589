import { parseJson } from '#codecs/json.ts';
import { defineFields, type Field } from '#api/fields.ts';
import { pydantic2 } from '#api/fastapi.ts';
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

const LISTS = ['style_selections', 'outpaint_selections'];

/** The empty parts of a form count as absent, but for those that are lists. */
export function form<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.unknown(),
    v.transform((parts) =>
      typeof parts === 'object' && parts !== null
        ? Object.fromEntries(
            Object.entries(parts).filter(([name, value]) => value !== '' || LISTS.includes(name)),
          )
        : parts,
    ),
    fields.model(entries),
  );
}
