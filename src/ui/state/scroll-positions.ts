/** Where it is kept, for this tab and its reloads. */
const KEY = 'vitrine.scroll';

/** Milliseconds for which a page that is too short yet is waited for. */
const PATIENCE_MS = 3000;

/** How far each panel has been scrolled. */
export class ScrollPositions {
  readonly #positions: Record<string, number>;
  #stop = new AbortController();

  constructor() {
    // Otherwise the browser scrolls as well, before there is anything to scroll to.
    history.scrollRestoration = 'manual';
    this.#positions = read();
  }

  /** Remembers where a panel is; it is on show. */
  keep(panel: string): void {
    this.#positions[panel] = scrollY;
  }

  /** Keeps the positions for a reload. */
  store(): void {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(this.#positions));
    } catch {
      // A browser that keeps nothing: positions last as long as the page.
    }
  }

  /** Scrolls to where a panel was, as soon as it is long enough; the reader may scroll elsewhere before that. */
  restore(panel: string): void {
    this.#stop.abort();
    const { signal } = (this.#stop = new AbortController());
    const target = this.#positions[panel] ?? 0;
    const scroll = () => {
      scrollTo(0, target);
      if (Math.abs(scrollY - target) < 2) this.#stop.abort();
    };
    scroll();
    if (signal.aborted) return;
    const observer = new ResizeObserver(scroll);
    observer.observe(document.body);
    signal.addEventListener('abort', () => observer.disconnect());
    const give = () => this.#stop.abort();
    for (const type of ['wheel', 'touchstart', 'keydown', 'pointerdown'])
      addEventListener(type, give, { signal, passive: true });
    setTimeout(() => {
      if (!signal.aborted) give();
    }, PATIENCE_MS);
  }
}

function read(): Record<string, number> {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '{}');
    return typeof kept === 'object' && kept !== null
      ? Object.fromEntries(Object.entries(kept).filter(([, value]) => typeof value === 'number'))
      : {};
  } catch {
    return {};
  }
}
