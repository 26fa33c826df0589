import * as v from 'valibot';

/*
 * Fields as the service reads them: numbers and switches may come as text, `null` and `""` are the same as
 * absence, and what is wrong is told in one sentence.
 */

type Wire = string | number | boolean;

function field<T>(initial: T, read: (value: Wire) => T | undefined, message: string) {
  return v.nullish(
    v.pipe(
      v.union([v.string(), v.number(), v.boolean()], message),
      v.rawTransform(({ dataset, addIssue, NEVER }): T => {
        if (dataset.value === '') return initial;
        const result = read(dataset.value);
        if (result !== undefined) return result;
        addIssue({ message });
        return NEVER;
      }),
    ),
    '',
  );
}

/** A body of such fields. */
export function body<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, (issue) => {
    const key = issue.path?.at(-1)?.key;
    return typeof key === 'string' ? `${key} is required` : 'the body must be a JSON object';
  });
}

/** A number within bounds, whole if `whole`. */
export function number<T extends number | null>(
  name: string,
  bounds: { min: number; max: number; whole?: boolean; initial: T },
) {
  const { min, max, whole = false, initial } = bounds;
  return field<number | T>(
    initial,
    (value) => {
      const result = typeof value === 'boolean' ? NaN : Number(value);
      return result >= min && result <= max && (!whole || Number.isInteger(result)) ? result : undefined;
    },
    `${name} must be between ${min} and ${max}`,
  );
}

/** A switch: `"yes"`/`"no"`, `"true"`/`"false"` or a boolean. */
export function yesNo(name: string, initial: boolean) {
  return field(
    initial,
    (value) => {
      const word = String(value).trim().toLowerCase();
      if (['yes', 'true', '1', 'on'].includes(word)) return true;
      return ['no', 'false', '0', 'off'].includes(word) ? false : undefined;
    },
    `${name} must be yes or no`,
  );
}

/** A text, or `initial`; numbers are read as their digits. */
export function text<T extends string | null>(name: string, initial: T) {
  return field<string | T>(
    initial,
    (value) => (typeof value === 'boolean' ? undefined : String(value)),
    `${name} must be a string`,
  );
}

/** A text that must be there. */
export function requiredText(name: string) {
  const message = `${name} is required`;
  return v.pipe(
    v.union([v.string(message), v.number()], message),
    v.transform(String),
    v.trim(),
    v.nonEmpty(message),
  );
}

/** One of `names`, compared without regard to case. */
export function oneOf<const T extends string>(name: string, names: readonly T[], initial: NoInfer<T>) {
  return field<T>(
    initial,
    (value) => names.find((candidate) => candidate.toLowerCase() === String(value).toLowerCase()),
    `${name} must be one of: ${names.join(', ')}`,
  );
}

/** A seed; absent or negative leaves it to chance. */
export function seed(name: string) {
  return field<bigint | null>(
    null,
    (value) => {
      const digits =
        typeof value === 'number' ? BigInt(Number.isInteger(value) ? value : -1).toString() : String(value);
      if (!/^\s*-?\d+\s*$/.test(digits)) return undefined;
      const result = BigInt(digits);
      if (result < 0n) return null;
      return result < 1n << 64n ? result : undefined;
    },
    `${name} must be an integer`,
  );
}
