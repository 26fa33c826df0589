/** Pixels by which a keyboard on the screen is higher than any bar of a browser. */
const LEAST = 120;

/** How far a page may be zoomed with two fingers, which makes its visible part smaller too. */
const ZOOMED = 1.05;

/** The keyboard on the screen of a phone, which browsers lay over the page without saying so. */
export class ScreenKeyboard {
  /** Pixels of the window that it covers; 0 while it is down. */
  #height = $state(0);

  get isUp(): boolean {
    return this.#height > 0;
  }

  get height(): number {
    return this.#height;
  }

  /** Watches the part of the window that is to be seen. @returns what ends it */
  watch(visible: VisualViewport | null = window.visualViewport): (() => void) | undefined {
    if (!visible) return undefined;
    const measure = () => {
      const covered = Math.round(window.innerHeight - visible.height - visible.offsetTop);
      this.#height = covered >= LEAST && visible.scale < ZOOMED ? covered : 0;
    };
    measure();
    visible.addEventListener('resize', measure);
    visible.addEventListener('scroll', measure);
    return () => {
      visible.removeEventListener('resize', measure);
      visible.removeEventListener('scroll', measure);
    };
  }
}
