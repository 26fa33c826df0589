import * as v from 'valibot';

/*
 * Fields as the service reads them: numbers and switches may come as text, `null` and `""` are the same as
 * absence, and what is wrong is told in one sentence.
 */

function wire(message: string) {
  return v.union([v.string(), v.number(), v.boolean(), v.bigint()], message);
}

/** A body of such fields. */
export function body<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, (issue) => {
    const key = issue.path?.at(-1)?.key;
    return typeof key === 'string' ? `${key} is required` : 'the body must be a JSON object';
  });
}

/** A number within bounds, whole if `whole`. */
export function number(
  name: string,
  { min, max, whole = false, initial }: { min: number; max: number; whole?: boolean; initial: number },
) {
  const message = `${name} must be between ${min} and ${max}`;
  return v.nullish(
    v.pipe(
      wire(message),
      v.transform((value) => {
        if (value === '') return initial;
        return typeof value === 'boolean' ? NaN : Number(value);
      }),
      v.number(message),
      v.minValue(min, message),
      v.maxValue(max, message),
      v.check((value) => !whole || Number.isInteger(value), message),
    ),
    initial,
  );
}

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

/** A switch: `"yes"`/`"no"`, `"true"`/`"false"` or a boolean. */
export function yesNo(name: string, initial: boolean) {
  const message = `${name} must be yes or no`;
  return v.nullish(
    v.pipe(
      wire(message),
      v.transform((value) => (value === '' ? initial : SWITCH_WORDS[String(value).trim().toLowerCase()])),
      v.boolean(message),
    ),
    initial,
  );
}

/** Whether a value as sent switches something on. */
export function saysYes(value: unknown): boolean {
  return SWITCH_WORDS[String(value).trim().toLowerCase()] === true;
}

/** A text, or null; numbers are read as their digits. */
export function text(name: string) {
  const message = `${name} must be a string`;
  return v.nullish(
    v.pipe(
      wire(message),
      v.transform((value) => {
        if (value === '') return null;
        return typeof value === 'boolean' ? value : String(value);
      }),
      v.nullable(v.string(message)),
    ),
    null,
  );
}

/** A text that must be there. */
export function requiredText(name: string) {
  const message = `${name} is required`;
  return v.pipe(wire(message), v.transform(String), v.string(), v.trim(), v.nonEmpty(message));
}

/** One of `names`, compared without regard to case. */
export function oneOf<const T extends string>(name: string, names: readonly T[], initial: NoInfer<T>) {
  const message = `${name} must be one of: ${names.join(', ')}`;
  return v.nullish(
    v.pipe(
      wire(message),
      v.transform((value) => {
        const wanted = String(value).toLowerCase();
        return wanted === '' ? initial : names.find((candidate) => candidate.toLowerCase() === wanted);
      }),
      v.picklist(names, message),
    ),
    initial,
  );
}

/** Names of a list with commas, or null. */
export function listOf(name: string, names: readonly string[]) {
  const message = `${name} must be a list of: ${names.join(', ')}`;
  return v.pipe(
    text(name),
    v.check((list) => list === null || list.split(',').every((word) => names.includes(word.trim())), message),
  );
}

/** A seed of up to 64 bits; absent or negative leaves it to chance. */
export function seed(name: string) {
  const message = `${name} must be an integer`;
  return v.nullish(
    v.pipe(
      wire(message),
      v.transform((value) => {
        if (value === '') return null;
        const digits = /^\s*-?\d+\s*$/.test(String(value)) ? BigInt(String(value)) : value;
        return typeof digits === 'bigint' && digits < 0n ? null : digits;
      }),
      v.nullable(v.pipe(v.bigint(message), v.maxValue((1n << 64n) - 1n, message))),
    ),
    null,
  );
}
