import * as v from 'valibot';
import { isRecord, stringifyJson } from '#codecs/json.ts';
import { CAPABILITIES, type Capability, type MissingCapability } from '#protocol/capabilities.ts';
import { AppError } from '#protocol/error.ts';
import type { Rule } from './errors.ts';
import type { Field } from './fields.ts';

/** Whether a value, as its field reads it, asks for something. */
type Asks = (value: unknown) => boolean;

/**
 * What a parameter does here.
 * - `honoured`: it changes the image or the answer as the original's documentation says.
 * - `no-effect`: it means nothing here (memory switches, server paths) and is accepted.
 * - `needs`: the original can, this program cannot yet; only a value that asks for it is refused.
 * - `part-of`: a detail of another parameter, without a meaning where that one is not used.
 */
export type ParameterRule =
  | { kind: 'honoured' }
  | { kind: 'no-effect'; why: string; asks?: Asks }
  | { kind: 'needs'; capability: MissingCapability; asks: Asks }
  | { kind: 'part-of'; parameter: string };

export const honoured: ParameterRule = { kind: 'honoured' };

/** @param asks whether a value asks for something; by default anything that differs from the parameter's default */
export function noEffect(why: string, asks?: Asks): ParameterRule {
  return { kind: 'no-effect', why, ...(asks && { asks }) };
}

/** @param asks whether a value really asks for it; by default anything but null, false, 0, '', [], {} and an empty file */
export function needs(capability: MissingCapability, asks: Asks = asksForSomething): ParameterRule {
  return { kind: 'needs', capability, asks };
}

/** @param parameter the one that it is a detail of */
export function partOf(parameter: string): ParameterRule {
  return { kind: 'part-of', parameter };
}

/** One parameter: everything that is known of it. */
export interface Param<T = unknown> {
  /** Reads the value, its absence included. */
  schema: v.GenericSchema<unknown, T>;
  /** Its value when it is not sent; undefined where it has to be. */
  initial: unknown;
  rule: ParameterRule;
  /** What it is, for people: a few words. */
  title: string;
  /** The rows of its value, where that is an object with parameters of its own. */
  nested?: Rows;
}

/** Parameters by their names on the wire, in the order in which an answer repeats them. */
export type Rows = Readonly<Record<string, Param>>;

type Body<R extends Rows> = { -readonly [Name in keyof R]: R[Name] extends Param<infer T> ? T : never };

/** The parameters of a request: what validates it, and what each of them does. */
export interface Parameters<T = unknown> {
  rows: Rows;
  schema: v.GenericSchema<unknown, T>;
  /** Whether a value counts as not sent. */
  isAbsent: (value: unknown, name: string) => boolean;
}

/** A validated request with these parameters. */
export type BodyOf<P> = P extends Parameters<infer T> ? T : never;

type FieldOrParameters<T> = Field<T> | Parameters<T>;

/**
 * A parameter that need not be sent.
 * @param fallback the value on the wire that its absence, or null, stands for; null for no value at all
 * @throws Error when the field cannot read the fallback
 */
export function param<T, const Fallback>(
  field: FieldOrParameters<T>,
  fallback: Fallback,
  rule: ParameterRule,
  title: string,
): Param<Fallback extends null ? T | null : T> {
  const schema = v.nullish(schemaOf(field), fallback) as v.GenericSchema<
    unknown,
    Fallback extends null ? T | null : T
  >;
  return { schema, initial: v.parse(schema, undefined), rule, title, ...nestedOf(field) };
}

/** A parameter that has to be sent. */
export function requiredParam<T>(field: FieldOrParameters<T>, rule: ParameterRule, title: string): Param<T> {
  return { schema: schemaOf(field), initial: undefined, rule, title, ...nestedOf(field) };
}

function schemaOf<T>(field: FieldOrParameters<T>): Field<T> {
  return 'rows' in field ? field.schema : field;
}

function nestedOf(field: FieldOrParameters<unknown>): { nested?: Rows } {
  return 'rows' in field ? { nested: field.rows } : {};
}

interface ParametersOptions {
  /** Whether a value counts as not sent; by default none does. Null is left to the rows. */
  isAbsent?: Parameters['isAbsent'];
}

/** A request's parameters, or those of an object inside one. Unknown names are dropped. */
export function parameters<const R extends Rows>(
  rows: R,
  { isAbsent = () => false }: ParametersOptions = {},
): Parameters<Body<R>> {
  const entries = Object.fromEntries(Object.entries(rows).map(([name, { schema }]) => [name, schema]));
  const schema = v.pipe(
    v.unknown(),
    v.transform((sent) =>
      isRecord(sent)
        ? Object.fromEntries(Object.entries(sent).filter(([name, value]) => !isAbsent(value, name)))
        : sent,
    ),
    v.object(entries, (issue): Rule => (issue.path ? 'missing' : 'object')),
  );
  return { rows, schema: schema as unknown as v.GenericSchema<unknown, Body<R>>, isAbsent };
}

/**
 * The same parameters, of which only those that were sent count, for example changes of options: a parameter that is absent is absent in the
 * result too.
 */
export function changesOf<T>({ rows, isAbsent }: Parameters<T>): Parameters<Partial<T>> {
  const optional = Object.entries(rows).map(([name, row]) => [
    name,
    { ...row, schema: v.optional(row.schema) },
  ]);
  return parameters(Object.fromEntries(optional) as Rows, { isAbsent }) as Parameters<Partial<T>>;
}

function asksForSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return false;
  if (value instanceof Blob) return value.size > 0;
  return typeof value === 'object' ? Object.keys(value).length > 0 : true;
}

/**
 * Sorts what a request sent by the rules of its parameters.
 * @param sent the names as received
 * @param values the same as the fields read them
 * @returns names of the parameters without effect: those that are accepted only and differ from their default, and
 *   unknown ones; with a dot where they are inside another one
 * @throws AppError `unsupported_feature` for the first one that asks for what is missing
 */
export function screenParameters(
  { rows, isAbsent }: Pick<Parameters, 'rows' | 'isAbsent'>,
  sent: Readonly<Record<string, unknown>>,
  values: Readonly<Record<string, unknown>>,
): string[] {
  const present = Object.keys(sent).filter((name) => !isAbsent(sent[name], name));
  return present.flatMap((name) => screenParameter(name, rows, sent[name], values[name]));
}

function screenParameter(name: string, rows: Rows, sent: unknown, value: unknown): string[] {
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
  if (!row) return [name];
  if (row.nested && isRecord(sent) && isRecord(value)) {
    const inside = { rows: row.nested, isAbsent: () => false };
    return screenParameters(inside, sent, value).map((inner) => `${name}.${inner}`);
  }
  const { rule } = row;
  if (rule.kind === 'needs' && rule.asks(value)) {
    throw missingCapability(`'${name}'`, rule.capability, name);
  }
  if (rule.kind !== 'no-effect' || sent === null) return [];
  return (rule.asks?.(value) ?? stringifyJson(value) !== stringifyJson(row.initial)) ? [name] : [];
}

/** The refusal of what is valid in the original and not built here. @param what the subject of "… needs hires fix" */
export function missingCapability(what: string, capability: MissingCapability, parameter?: string): AppError {
  return new AppError(
    'unsupported_feature',
    `${what} needs ${titleOf(capability)}, which is not available here yet.`,
    { detail: { capability, ...(parameter !== undefined && { parameter }) } },
  );
}

/** What a capability is called. */
export function titleOf(capability: Capability): string {
  return CAPABILITIES[capability].title;
}
