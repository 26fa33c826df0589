/** Milliseconds between two updates: four a second are read as motion and cost the model little. */
const PACE_MS = 250;

/** Hands on the newest of quickly changing values, at most four a second, and none while the page is hidden. */
export class Paced<T> {
  readonly #apply: (value: T) => void;
  #waiting: { value: T } | null = null;
  #appliedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(apply: (value: T) => void) {
    this.#apply = apply;
    document.addEventListener('visibilitychange', () => this.#schedule());
  }

  /** Applies a value now or a little later, unless a newer one comes. */
  push(value: T): void {
    this.#waiting = { value };
    this.#schedule();
  }

  /** Forgets what has not been applied yet. */
  drop(): void {
    this.#waiting = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    if (!this.#waiting || this.#timer !== undefined || document.hidden) return;
    const delay = Math.max(0, this.#appliedAt + PACE_MS - performance.now());
    this.#timer = setTimeout(() => this.#flush(), delay);
  }

  #flush(): void {
    this.#timer = undefined;
    const waiting = this.#waiting;
    if (!waiting || document.hidden) return;
    this.#waiting = null;
    this.#appliedAt = performance.now();
    this.#apply(waiting.value);
  }
}
