import { inflateSync } from 'node:zlib';

/** What the built-in describer can say of an image. */
export interface PhraseList {
  things: readonly { name: string; keywords: readonly string[] }[];
  styles: readonly string[];
  colors: readonly string[];
}

interface Item {
  label: string;
  tags: readonly string[];
}

const STYLES = ['3d render', 'gradient style', 'flat design', 'line art', 'cartoon style', 'blob emoji'];
const COLORS = [
  'white',
  'black',
  'red',
  'green',
  'blue',
  'yellow',
  'orange',
  'purple',
  'pink',
  'brown',
  'gray',
  'light blue',
];

/** Bytes before the length of the header. */
const MAGIC_BYTES = 8;
const MOST_KEYWORDS = 5;

/** As the captions of the training name things: lower case, no quotation marks. */
function nameOf(label: string): string {
  return label
    .toLowerCase()
    .replace('flag: ', 'flag of ')
    .replace(/[“”"’]/g, '');
}

/** The things in the header of the training data, each once, in alphabetical order. */
export function readPhrases(data: Buffer): PhraseList {
  const length = Number(data.readBigUInt64LE(MAGIC_BYTES));
  const start = MAGIC_BYTES + 8;
  const header: unknown = JSON.parse(inflateSync(data.subarray(start, start + length)).toString());
  const { items } = header as { items: readonly Item[] };
  const keywords = new Map<string, Set<string>>();
  for (const { label, tags } of items) {
    const name = nameOf(label);
    const known = keywords.get(name) ?? new Set();
    keywords.set(name, known);
    for (const tag of tags) if (/^[a-z][a-z -]+$/.test(tag) && tag !== name) known.add(tag);
  }
  return {
    things: [...keywords]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, words]) => ({ name, keywords: [...words].slice(0, MOST_KEYWORDS) })),
    styles: STYLES,
    colors: COLORS,
  };
}
