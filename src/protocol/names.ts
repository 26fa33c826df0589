import type { AnyPack } from './model.ts';

/** The part of a LoRA's metadata in which kohya's trainer keeps the name that prompts may call it by. */
const ALIAS = 'ss_output_name';

/**
 * A name in the form used for comparison: upper and lower case are the same, and so are letters with their accents as one character
 * (NFC) and as two, which is how macOS names files.
 */
export function foldName(name: string): string {
  return name.trim().normalize('NFC').toLowerCase();
}

/** Whether two names are the same, see {@link foldName}. */
export function sameName(a: string, b: string): boolean {
  return foldName(a) === foldName(b);
}

/** The name a LoRA was trained under, which prompts may call it by; undefined for other packs and where its file has none. */
export function aliasOf(pack: AnyPack): string | undefined {
  const alias = pack.kind === 'lora' ? pack.metadata?.[ALIAS]?.trim() : undefined;
  return alias === '' || alias === 'None' ? undefined : alias;
}

/**
 * What people mean by a name: the id before the title, the very letters before others in upper and lower case. The alias of
 * a LoRA comes last, and counts only where no other one has it (A1111, extensions-builtin/Lora/networks.py).
 */
export function findByName<T>(
  items: readonly T[],
  name: string,
  packOf: (item: T) => AnyPack,
): T | undefined {
  const exact = name.trim().normalize('NFC');
  const aliased = items.filter((item) => sameName(aliasOf(packOf(item)) ?? '', name));
  return (
    items.find((item) => packOf(item).id === exact) ??
    items.find((item) => sameName(packOf(item).id, name)) ??
    items.find((item) => sameName(packOf(item).title, name)) ??
    (aliased.length === 1 && exact !== '' ? aliased[0] : undefined)
  );
}
