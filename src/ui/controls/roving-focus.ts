import type { Attachment } from 'svelte/attachments';

/**
 * Makes the buttons of a grid one stop of the Tab key; arrow keys, Home and End move among them. One button is to be rendered
 * with `tabindex="0"` and the others with `-1`.
 */
export const rovingFocus: Attachment<HTMLElement> = (list) => {
  let current: HTMLElement | null = null;

  function follow({ target }: FocusEvent): void {
    if (!(target instanceof HTMLButtonElement) || target === current) return;
    for (const stop of list.querySelectorAll<HTMLElement>('button[tabindex="0"]')) stop.tabIndex = -1;
    target.tabIndex = 0;
    current = target;
  }

  function move(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const buttons = [...list.querySelectorAll<HTMLButtonElement>('button')];
    const at = buttons.findIndex((button) => button === event.target);
    const target = at < 0 ? undefined : targetOf(event.key, at, buttons);
    if (!target) return;
    event.preventDefault();
    target.focus();
  }

  list.addEventListener('focusin', follow);
  list.addEventListener('keydown', move);
  return () => {
    list.removeEventListener('focusin', follow);
    list.removeEventListener('keydown', move);
  };
};

function targetOf(key: string, at: number, buttons: readonly HTMLElement[]): HTMLElement | undefined {
  switch (key) {
    case 'ArrowLeft':
      return buttons[at - 1];
    case 'ArrowRight':
      return buttons[at + 1];
    case 'ArrowUp':
      return buttons[at - columnsOf(buttons)];
    case 'ArrowDown':
      return buttons[at + columnsOf(buttons)];
    case 'Home':
      return buttons[0];
    case 'End':
      return buttons.at(-1);
  }
  return undefined;
}

/** How many buttons are in a row. */
function columnsOf(buttons: readonly HTMLElement[]): number {
  const top = buttons[0]?.getBoundingClientRect().top;
  const second = buttons.findIndex((button) => button.getBoundingClientRect().top !== top);
  return second < 0 ? buttons.length : second;
}
