/** What no system has in file names, or would end a tag in a prompt; and what turns the direction of writing. */
const UNUSABLE = /[<>:"/\\|?*\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu;

/** Longer names are cut: file systems end at 255 bytes. */
const MAX_LETTERS = 120;

/**
 * A pack's name as a file of that title has it: letters of every script, blanks, brackets and signs stay; what no file name
 * can have becomes a hyphen. `model` where nothing is left.
 */
export function toFileStem(title: string): string {
  const stem = title
    .normalize('NFC')
    .replaceAll(UNUSABLE, '-')
    .replaceAll(/\s+/g, ' ')
    .slice(0, MAX_LETTERS)
    // Half of a letter that the cut went through.
    .replace(/[\ud800-\udbff]$/, '')
    .replace(/^[-.\s]+|[-.\s]+$/g, '');
  return stem === '' ? 'model' : stem;
}
