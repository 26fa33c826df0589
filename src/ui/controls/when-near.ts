import type { Attachment } from 'svelte/attachments';

/** What is this far outside the window counts as near: one height of the window. */
const MARGIN = '100% 0px';

const listeners = new WeakMap<Element, (isNear: boolean) => void>();

/** One for all elements: with hundreds of them, an observer each is what takes time. */
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) listeners.get(target)?.(isIntersecting);
  },
  { rootMargin: MARGIN },
);

/** Attaches something to an element only while it is in the window or near it. */
export function whenNear<E extends Element>(attach: Attachment<E>): Attachment<E> {
  return (element) => {
    let detach: ReturnType<Attachment<E>>;
    listeners.set(element, (isNear) => {
      detach?.();
      detach = isNear ? attach(element) : undefined;
    });
    observer.observe(element);
    return () => {
      observer.unobserve(element);
      detach?.();
    };
  };
}
