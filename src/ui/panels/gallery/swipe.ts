import type { Attachment } from 'svelte/attachments';

/** CSS pixels after which a movement is a swipe; shorter ones are a tap. */
const SWIPE = 40;

/** Calls back when a finger swipes sideways: 1 for the next image, −1 for the one before. */
export function swipe(turn: (by: 1 | -1) => void): Attachment<HTMLElement> {
  return (element) => {
    let begin: { id: number; x: number; y: number } | null = null;
    const down = ({ pointerId, pointerType, isPrimary, clientX, clientY }: PointerEvent) => {
      // A second finger zooms.
      begin = pointerType === 'mouse' || !isPrimary ? null : { id: pointerId, x: clientX, y: clientY };
    };
    const up = ({ pointerId, clientX, clientY }: PointerEvent) => {
      if (!begin || begin.id !== pointerId) return;
      const [x, y] = [clientX - begin.x, clientY - begin.y];
      begin = null;
      if (Math.abs(x) >= SWIPE && Math.abs(x) > 2 * Math.abs(y)) turn(x < 0 ? 1 : -1);
    };
    const cancel = () => (begin = null);
    element.addEventListener('pointerdown', down);
    element.addEventListener('pointerup', up);
    element.addEventListener('pointercancel', cancel);
    return () => {
      element.removeEventListener('pointerdown', down);
      element.removeEventListener('pointerup', up);
      element.removeEventListener('pointercancel', cancel);
    };
  };
}
