import { get, update } from 'idb-keyval';
import { openFormStore } from './form-store.ts';

const KEY = 'prompts';

/** Prompts that are kept. */
const LIMIT = 200;

/** The prompts that images were generated with, in this browser, and the place in them while one is looked for. */
export class PromptHistory {
  /** Oldest first. */
  #prompts: readonly string[] = [];
  /** Where in the prompts the reader is; at their end is what was typed. */
  #at = 0;
  #typed = '';

  /** Reads what is kept. Without storage, history begins anew with every visit. */
  async load(): Promise<void> {
    const kept = await get<unknown>(KEY, openFormStore()).catch(() => undefined);
    this.#replace(merged(textsOf(kept), this.#prompts));
  }

  /** Keeps a prompt as the newest; one that is there already moves. */
  async add(prompt: string): Promise<void> {
    const text = prompt.trim();
    if (text === '') return;
    this.#replace(merged(this.#prompts, [text]));
    // Other tabs add to it too.
    await update<unknown>(KEY, (kept) => merged(textsOf(kept), [text]), openFormStore()).catch(
      () => undefined,
    );
  }

  /** Whether a text is the one that a step has led to, unchanged. */
  shows(text: string): boolean {
    return this.#at < this.#prompts.length && this.#prompts[this.#at] === text;
  }

  /** The prompt before the one that is shown; undefined at the oldest. @param current what is in the field */
  older(current: string): string | undefined {
    if (!this.shows(current)) {
      this.#at = this.#prompts.length;
      this.#typed = current;
    }
    for (let at = this.#at - 1; at >= 0; at--) {
      const found = this.#prompts[at];
      if (found === undefined || found === current) continue;
      this.#at = at;
      return found;
    }
    return undefined;
  }

  /** The prompt after the one that is shown, and after the newest what was typed; undefined where none is shown. */
  newer(current: string): string | undefined {
    if (!this.shows(current)) return undefined;
    this.#at += 1;
    return this.#prompts[this.#at] ?? this.#typed;
  }

  #replace(prompts: readonly string[]): void {
    this.#prompts = prompts;
    this.#at = prompts.length;
  }
}

function textsOf(kept: unknown): string[] {
  return Array.isArray(kept) ? kept.filter((each) => typeof each === 'string') : [];
}

function merged(older: readonly string[], newer: readonly string[]): string[] {
  return [...older.filter((each) => !newer.includes(each)), ...newer].slice(-LIMIT);
}
