/** Something added to the form that can be left out for a while without losing its values. */
export interface Switchable {
  /** Whether it is left out. */
  off?: true;
}

export function isOn({ off }: Switchable): boolean {
  return off !== true;
}

/** Leaves something out, or takes it in again. */
export function setOn(item: Switchable, on: boolean): void {
  if (on) delete item.off;
  else item.off = true;
}

/** What counts of something that may not be there, or be left out. */
export function activeOf<T extends Switchable>(item: T | null): T | null {
  return item && isOn(item) ? item : null;
}
