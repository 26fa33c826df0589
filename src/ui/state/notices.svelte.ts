import { untrack } from 'svelte';

/** A short message with at most one thing to do about it. */
export interface Notice {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  action: { label: string; run: () => void } | null;
}

const SHOWN_MS = 6000;

/** Time to think again. */
export const UNDO_MS = 10_000;

/** The message at the foot of the window; the newest replaces the one before. */
export class Notices {
  #current = $state.raw<Notice | null>(null);
  /** Open dialogs; nothing beneath them can be clicked. */
  #dialogs = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextId = 0;

  get current(): Notice | null {
    return this.#current;
  }

  /** Whether a dialog shows messages instead of the page beneath it. */
  get areInDialog(): boolean {
    return this.#dialogs > 0;
  }

  /** From now on messages are shown in a dialog. @returns what ends it */
  moveToDialog(): () => void {
    // Not read by the effect that calls this: it would call itself.
    const change = (by: number) => untrack(() => (this.#dialogs += by));
    change(1);
    return () => change(-1);
  }

  /** Shows a message. Errors stay until they are dismissed. */
  show(text: string, options: { tone?: Notice['tone']; action?: Notice['action'] } = {}): void {
    clearTimeout(this.#timer);
    const tone = options.tone ?? 'plain';
    this.#current = { id: this.#nextId++, text, tone, action: options.action ?? null };
    const ms = options.action ? UNDO_MS : SHOWN_MS;
    if (tone !== 'error') this.#timer = setTimeout(() => this.dismiss(), ms);
  }

  dismiss(): void {
    clearTimeout(this.#timer);
    this.#current = null;
  }
}
