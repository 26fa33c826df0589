/** What options of a line read their values as. */
export type OptionKind = 'text' | 'integer' | 'number' | 'boolean';

/** The options of a line such as `--prompt a red apple --steps 12`; null where it has none, or some that cannot be read. */
export function readOptions(
  line: string,
  kinds: Readonly<Record<string, OptionKind>>,
): Map<string, string | number | boolean> | null {
  const words = line.includes('--') ? splitWords(line) : null;
  if (!words) return null;
  const options = new Map<string, string | number | boolean>();
  for (let at = 0; at < words.length;) {
    const name = /^--(.*)$/s.exec(words[at] ?? '')?.[1] ?? '';
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    const value = words[at + 1];
    if (kind === undefined || value === undefined) return null;
    const following = words.slice(at + 2).findIndex((word) => word.startsWith('--'));
    const end = !isPrompt(name) ? at + 2 : following < 0 ? words.length : at + 2 + following;
    const read = readValue(isPrompt(name) ? words.slice(at + 1, end).join(' ') : value, kind);
    if (read === null) return null;
    options.set(name, read);
    at = end;
  }
  return options;
}

/** A prompt extends to the next option. */
function isPrompt(name: string): boolean {
  return name === 'prompt' || name === 'negative_prompt';
}

function readValue(text: string, kind: OptionKind): string | number | boolean | null {
  if (kind === 'text') return text;
  if (kind === 'boolean') return text === 'true';
  const pattern = kind === 'integer' ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  return pattern.test(text) ? Number(text) : null;
}

/** Words as a POSIX shell has them: Python's `shlex.split`. Null for a quote without its end. */
function splitWords(line: string): string[] | null {
  const pieces = /\s+|'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^\s'"\\]+)/gsy;
  const words: string[] = [];
  let isOpen = false;
  while (pieces.lastIndex < line.length) {
    const piece = pieces.exec(line);
    if (!piece) return null;
    const [, single, double, escaped, plain] = piece;
    const text = single ?? double?.replace(/\\(["\\])/g, '$1') ?? escaped ?? plain;
    if (text !== undefined && isOpen) words[words.length - 1] = `${words.at(-1) ?? ''}${text}`;
    else if (text !== undefined) words.push(text);
    isOpen = text !== undefined;
  }
  return words;
}
