import { AppError } from '#protocol/error.ts';
import { ACTIVATIONS, type Activation } from '#engine/graph/layers.ts';

/** A `config.json` of diffusers or transformers, parsed and not yet believed. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/** Reads a configuration key by key. Absent and null keys take the fallback, which is the reference's default. */
export class ConfigReader {
  readonly #json: ConfigJson;
  readonly #architecture: string;

  constructor(json: ConfigJson, architecture: string) {
    this.#json = json;
    this.#architecture = architecture;
  }

  /** A whole or fractional number. Without a fallback the key must be there. */
  number(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#invalid(key, 'a number');
  }

  /** A number, or undefined where the key is absent or null. */
  optionalNumber(key: string): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#value(key, fallback);
    if (typeof value === 'boolean') return value;
    throw this.#invalid(key, 'true or false');
  }

  /** One of the words this engine knows. */
  word<Word extends string>(key: string, known: readonly Word[], fallback?: Word): Word {
    const value = this.#value(key, fallback);
    const found = known.find((word) => word === value);
    if (found === undefined) throw this.unsupported(key);
    return found;
  }

  /** A list of words. */
  words<Word extends string>(
    key: string,
    known: readonly Word[],
    fallback?: readonly Word[],
  ): readonly Word[] {
    return this.list(key, fallback).map((value) => {
      const found = known.find((word) => word === value);
      if (found === undefined) throw this.unsupported(key);
      return found;
    });
  }

  /** A list of numbers. */
  numbers(key: string, fallback?: readonly number[]): readonly number[] {
    return this.list(key, fallback).map((value) => {
      if (typeof value !== 'number') throw this.#invalid(key, 'a list of numbers');
      return value;
    });
  }

  /** A list of anything. */
  list(key: string, fallback?: readonly unknown[]): readonly unknown[] {
    const value = this.#value(key, fallback);
    if (Array.isArray(value)) return value;
    throw this.#invalid(key, 'a list');
  }

  /** A number for each of `count` blocks: one for all, or a list of them. */
  perBlock(key: string, count: number, fallback?: number): readonly number[] {
    const value = this.#value(key, fallback);
    const list = Array.isArray(value)
      ? this.numbers(key)
      : Array.from({ length: count }, () => this.number(key, fallback));
    if (list.length !== count) throw this.#invalid(key, `a number or a list of ${count}`);
    return list;
  }

  /** true or false for each of `count` blocks. */
  flagPerBlock(key: string, count: number): readonly boolean[] {
    const value = this.#value(key, false);
    const list: readonly unknown[] = Array.isArray(value)
      ? value
      : Array.from({ length: count }, () => value);
    return list.map((flag) => {
      if (typeof flag !== 'boolean') throw this.#invalid(key, 'true, false or a list of them');
      return flag;
    });
  }

  activation(key: string, fallback?: Activation): Activation {
    return this.word(key, Object.keys(ACTIVATIONS) as Activation[], fallback);
  }

  /** Whether the key is there and not null. */
  has(key: string): boolean {
    return this.#json[key] !== undefined && this.#json[key] !== null;
  }

  /** Whether the key is there and null, where that is not the same as its absence. */
  isNull(key: string): boolean {
    return this.#json[key] === null;
  }

  isList(key: string): boolean {
    return Array.isArray(this.#json[key]);
  }

  /**
   * Refuses a configuration that sets any of these keys to something else than shown.
   * @throws AppError `unsupported_feature` naming the key
   */
  requireOnly(allowed: Readonly<Record<string, string | number | boolean | null>>): void {
    for (const [key, value] of Object.entries(allowed)) {
      if (this.has(key) && this.#json[key] !== value) throw this.unsupported(key);
    }
  }

  /** The error for a value that the reference knows and this engine does not. */
  unsupported(key: string): AppError {
    const value = JSON.stringify(this.#json[key]);
    return new AppError(
      'unsupported_feature',
      `${this.#architecture} with ${key} ${value} is not supported.`,
      {
        detail: { key },
      },
    );
  }

  #value(key: string, fallback: unknown): unknown {
    return this.has(key) ? this.#json[key] : fallback;
  }

  #invalid(key: string, expected: string): AppError {
    return new AppError('invalid_request', `${this.#architecture}: ${key} must be ${expected}.`, {
      detail: { key },
    });
  }
}
