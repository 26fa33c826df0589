import { AppError } from '#protocol/error.ts';

/**
 * What a parameter does here.
 * - `honoured`: it changes the image or the answer as the original's documentation says.
 * - `ignored`: it means nothing here (memory switches, server paths) and is accepted.
 * - `refused`: the original can, we cannot with what is installed; only a value that asks for it is refused.
 */
export type ParameterRule =
  | { class: 'honoured' }
  | { class: 'ignored'; why: string; asks?: (value: unknown) => boolean }
  | { class: 'refused'; needs: string; asks: (value: unknown) => boolean };

/** The parameters of a route by their wire names. */
export type ParameterTable = Readonly<Record<string, ParameterRule>>;

export const honoured: ParameterRule = { class: 'honoured' };

/** @param asks whether a value asks for something; by default whatever differs from the parameter's default */
export function ignored(why: string, asks?: (value: unknown) => boolean): ParameterRule {
  return { class: 'ignored', why, ...(asks && { asks }) };
}

/** @param asks whether a value really asks for it; by default anything but null, false, 0, '', [] and {} */
export function refused(needs: string, asks: (value: unknown) => boolean = asksForSomething): ParameterRule {
  return { class: 'refused', needs, asks };
}

/** A detail of another parameter that is refused itself: without that one it has no meaning in the original either. */
export function detailOf(parameter: string, needs: string): ParameterRule {
  return { class: 'refused', needs: `${needs} (with ${parameter})`, asks: () => false };
}

function asksForSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return false;
  return typeof value === 'object' ? Object.keys(value).length > 0 : true;
}

/**
 * Sorts what a request sent by the classes of its parameters.
 * @param sent the body as received
 * @param defaults what each parameter is when it is not sent
 * @returns names of the parameters without effect: those of class `ignored` that differ from their default, and unknown ones
 * @throws AppError `unsupported_feature` for the first one that asks for what is missing
 */
export function screenParameters(
  table: ParameterTable,
  sent: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): string[] {
  const withoutEffect: string[] = [];
  for (const [name, value] of Object.entries(sent)) {
    const rule = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!rule) {
      withoutEffect.push(name);
    } else if (rule.class === 'refused') {
      if (rule.asks(value)) throw missingCapability(`'${name}' needs ${rule.needs}`, name);
    } else if (rule.class === 'ignored' && value !== null) {
      if (rule.asks?.(value) ?? !sameJson(value, defaults[name])) withoutEffect.push(name);
    }
  }
  return withoutEffect;
}

/** The refusal of what is valid in the original and not possible here. `what` reads like "'tiling' needs …". */
export function missingCapability(what: string, parameter?: string): AppError {
  return new AppError('unsupported_feature', `${what}, which is not available here yet.`, {
    ...(parameter !== undefined && { detail: { parameter } }),
  });
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
