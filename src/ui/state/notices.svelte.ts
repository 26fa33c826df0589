/** A short message with at most one thing to do about it. */
export interface Notice {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  action: { label: string; run: () => void } | null;
}

const SHOWN_MS = 6000;

/** The message at the foot of the window; the newest replaces the one before. */
export class Notices {
  #current = $state.raw<Notice | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextId = 0;

  get current(): Notice | null {
    return this.#current;
  }

  /** Shows a message. Errors stay until they are dismissed. */
  show(text: string, options: { tone?: Notice['tone']; action?: Notice['action'] } = {}): void {
    clearTimeout(this.#timer);
    const tone = options.tone ?? 'plain';
    this.#current = { id: this.#nextId++, text, tone, action: options.action ?? null };
    if (tone !== 'error') this.#timer = setTimeout(() => this.dismiss(), SHOWN_MS);
  }

  dismiss(): void {
    clearTimeout(this.#timer);
    this.#current = null;
  }
}
