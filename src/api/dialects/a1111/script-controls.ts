import { validate, type Field } from '#api/fields.ts';
import { httpException } from './errors.ts';
import type { GenerationBody } from './generation-rows.ts';

/** One control of a script, as `GET /script-info` describes it. Its value is the default. */
export interface ScriptControl {
  label: string;
  value: unknown;
  minimum?: number;
  maximum?: number;
  step?: number;
  choices?: readonly string[];
}

export function checkbox(label: string, value = false): ScriptControl {
  return { label, value };
}

export function textbox(label: string, value = ''): ScriptControl {
  return { label, value };
}

export function slider(
  label: string,
  value: number,
  minimum: number,
  maximum: number,
  step: number,
): ScriptControl {
  return { label, value, minimum, maximum, step };
}

/** One of a list, the first by default. */
export function dropdown(
  label: string,
  choices: readonly string[],
  value: unknown = choices[0] ?? '',
): ScriptControl {
  return { label, value, choices };
}

/** A script's arguments by their places. What is left out has its default. */
export class ScriptArguments {
  readonly #source: string;
  readonly #controls: readonly ScriptControl[];
  readonly #values: readonly unknown[];

  /** @param source what the arguments are called in errors: `script_args`, `alwayson_scripts.seed` */
  constructor(source: string, controls: readonly ScriptControl[], values: readonly unknown[]) {
    this.#source = source;
    this.#controls = controls;
    this.#values = values;
  }

  /** The argument, or its default. @throws AppError for one that cannot be read */
  get<T>(place: number, field: Field<T>): T {
    const read = validate(field, this.#values[place] ?? this.#controls[place]?.value, 'body');
    if ('value' in read) return read.value;
    throw this.#unreadable(place);
  }

  /** The texts of a list. One text stands for a list of it; what is empty is left out. */
  texts(place: number): string[] {
    const value = this.#values[place] ?? this.#controls[place]?.value;
    const items: unknown[] = Array.isArray(value) ? value : [value];
    return items
      .filter((item) => item !== '')
      .map((item) => {
        if (typeof item === 'string') return item;
        throw this.#unreadable(place);
      });
  }

  /**
   * One of the control's choices, by its name or its number: which of them the original takes depends on the control.
   * @returns the number
   * @throws AppError for one that is not there
   */
  choice(place: number, choices: readonly string[] = this.#controls[place]?.choices ?? []): number {
    const value = this.#values[place] ?? this.#controls[place]?.value;
    const index = typeof value === 'number' ? value : choices.findIndex((choice) => choice === value);
    if (choices[index] !== undefined) return index;
    throw this.#unreadable(place);
  }

  /** A field's change to the argument; none where it is the default. */
  change<Name extends keyof GenerationBody>(
    name: Name,
    place: number,
    field: Field<GenerationBody[Name]>,
  ): Partial<GenerationBody> {
    const value = this.get(place, field);
    return String(value) === String(this.#controls[place]?.value) ? {} : { [name]: value };
  }

  #unreadable(place: number) {
    const label = this.#controls[place]?.label ?? String(place);
    return httpException(422, `${this.#source}: '${label}' cannot be read`);
  }
}
