/** Milliseconds between two updates: four a second are read as motion and cost the model little. */
const PACE_MS = 250;

/**
 * Hands on the newest of quickly changing values, at most four a second, and none while the page is hidden. All that are paced
 * change on the same beat, so that one frame shows them: a frame costs the model more than what is drawn in it.
 */
export class Paced<T> {
  readonly #apply: (value: T) => void;
  #waiting: { value: T } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(apply: (value: T) => void) {
    this.#apply = apply;
    document.addEventListener('visibilitychange', () => this.#schedule());
  }

  /** Applies a value on the next beat, unless a newer one comes. */
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
    this.#timer = setTimeout(() => this.#flush(), PACE_MS - (performance.now() % PACE_MS));
  }

  #flush(): void {
    this.#timer = undefined;
    const waiting = this.#waiting;
    if (!waiting || document.hidden) return;
    this.#waiting = null;
    this.#apply(waiting.value);
  }
}
