import { param, parameters, type Param, type Rows } from '#api/parameters.ts';
import { validate, type Field } from '#api/fields.ts';
import { AppError } from '#protocol/error.ts';
import type { SettingValue } from '#protocol/settings.ts';
import * as v from 'valibot';
import { f } from './fields.ts';
import { OPTIONS } from './option-rows.ts';

type Widen<T> = T extends null ? string | null : T extends readonly unknown[] ? readonly SettingValue[] : T;

export type OptionName = keyof typeof OPTIONS;

/** All options with the values they have. */
export type Options = { [Name in OptionName]: Widen<(typeof OPTIONS)[Name]['initial']> };

const list = f.list(v.union([v.string(), v.number(), v.boolean(), v.null()]));

/** An option's type is that of its default; the one whose default is null names a file. */
function fieldOf(initial: unknown): Field<unknown> {
  switch (typeof initial) {
    case 'number':
      return f.number();
    case 'boolean':
      return f.boolean();
    default:
      return Array.isArray(initial) ? list : f.string();
  }
}

const rows: Readonly<Record<string, Param>> = Object.fromEntries(
  Object.entries(OPTIONS).map(([name, { initial, rule }]) => [
    name,
    param(fieldOf(initial), initial, rule, labelOf(name)),
  ]),
);

/** An option's name for people. */
export function labelOf(name: string): string {
  return name.replaceAll('_', ' ');
}

/** The options as parameters: those of `POST /options` and of `override_settings`. */
export const optionParameters = parameters<Rows>(rows);

const DEFAULTS = Object.fromEntries(Object.entries(OPTIONS).map(([name, { initial }]) => [name, initial]));

export function isOption(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

/**
 * A value in the option's type; null means its default.
 * @throws AppError `invalid_request` when it is of another type
 */
export function readOption(name: OptionName, value: unknown): SettingValue {
  const read = rows[name] && validate(rows[name].schema, value, 'body');
  if (read && 'value' in read) return read.value as SettingValue;
  throw new AppError('invalid_request', `option '${name}' cannot be ${JSON.stringify(value)}`, {
    detail: { exception: 'ValueError', status: 500 },
  });
}

/** The options in force: the stock defaults, what the settings change, what a request changes. */
export function effectiveOptions(
  settings: Readonly<Record<string, unknown>>,
  overrides: Readonly<Record<string, unknown>> = {},
): Options {
  const changes: Partial<Record<OptionName, SettingValue>> = {};
  for (const [name, value] of [...Object.entries(settings), ...Object.entries(overrides)]) {
    if (isOption(name) && value !== null) changes[name] = readOption(name, value);
  }
  return { ...DEFAULTS, ...changes } as Options;
}
