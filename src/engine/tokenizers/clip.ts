import { AppError } from '#protocol/error.ts';

/** Tokens of one run of a CLIP text encoder: start, {@link CHUNK_CONTENT}, end. */
export const CHUNK_LENGTH = 77;
/** Tokens of text in one run. */
export const CHUNK_CONTENT = CHUNK_LENGTH - 2;

const START = '<|startoftext|>';
const END = '<|endoftext|>';

/** What ends the last token of a word. */
const WORD_END = '</w>';

/** Text to token ids, and the ids that frame them. */
export interface ClipTokenizer {
  readonly startId: number;
  readonly endId: number;
  /** The padding after the end token. SD 1.x uses the end token itself, OpenCLIP encoders 0. */
  readonly padId: number;
  /** The token of a lone comma, where A1111 prefers to break. */
  readonly commaId: number;
  /** Token ids of a text of any length, without start, end and padding. */
  encode(text: string): number[];
  /** The text of token ids, lower-cased, with single blanks. */
  decode(ids: readonly number[]): string;
}

/** Facts of a repository's `tokenizer_config.json` or `special_tokens_map.json`. */
export interface ClipTokenizerOptions {
  /** Text of the padding token; the end token if absent. */
  padToken?: string;
}

/** What Oniguruma, the regular expressions of the reference, calls white space: JavaScript's differs. */
const WHITE_SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu;

/** Special tokens as they are written; the reference looks for them before it does anything else. */
const SPECIAL = /(<\|startoftext\|>|<\|endoftext\|>)/u;

const WORDS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^ \p{L}\p{N}]+/gu;

/** Special tokens in capitals are plain text, but the reference still cuts around them before it looks for words. */
const PARTS = new RegExp(`${SPECIAL.source}|${WORDS.source}`, 'gu');

/** Tokens and their ids. */
export type Vocabulary = ReadonlyMap<string, number>;

/**
 * The CLIP tokenizer of a repository that ships `vocab.json` and `merges.txt`. Ids are those of
 * transformers' `CLIPTokenizer` (models/clip/tokenization_clip.py): NFC, white space to one blank, lower case,
 * then byte-level BPE within contractions, letters, single digits and runs of other signs.
 *
 * @param vocabulary content of `vocab.json`
 * @param merges text of `merges.txt`
 * @throws AppError `integrity_failed` when the vocabulary is not CLIP's
 */
export function createClipTokenizer(
  vocabulary: Vocabulary,
  merges: string,
  options: ClipTokenizerOptions = {},
): ClipTokenizer {
  const idOf = (token: string): number => {
    const id = vocabulary.get(token);
    if (id !== undefined) return id;
    throw new AppError(
      'integrity_failed',
      `This is not the vocabulary of a CLIP tokenizer: "${token}" is missing.`,
      { detail: { token } },
    );
  };
  const startId = idOf(START);
  const endId = idOf(END);
  const padId = options.padToken === undefined ? endId : idOf(options.padToken);
  const commaId = idOf(`,${WORD_END}`);
  const ranks = new Map(parseMerges(merges).map((pair, rank) => [pair, rank]));
  /** Made when it is first needed. */
  let tokens: ReadonlyMap<number, string> | null = null;

  return {
    startId,
    endId,
    padId,
    commaId,
    encode: (text) =>
      text.split(SPECIAL).flatMap((part) => {
        if (part === START) return startId;
        if (part === END) return endId;
        return wordsOf(part).flatMap((word) =>
          mergePairs(word, ranks).map((token) => vocabulary.get(token) ?? endId),
        );
      }),
    decode(ids) {
      const known = (tokens ??= new Map([...vocabulary].map(([token, id]) => [id, token])));
      return textOf(ids.map((id) => known.get(id) ?? ''));
    },
  };
}

/** The words of a text without special tokens. */
function wordsOf(text: string): string[] {
  const plain = text
    .normalize('NFC')
    .replace(WHITE_SPACE, ' ')
    // The reference lowers letter by letter; JavaScript would write a final sigma at the end of a word.
    .replaceAll('Σ', 'σ')
    .toLowerCase();
  return (plain.match(PARTS) ?? []).flatMap((part) => part.match(WORDS) ?? []);
}

/**
 * Byte pair encoding: of all neighbours in a word, those that stand first in the merges become one, until none stands in them.
 * @param ranks of two tokens with a blank between
 */
function mergePairs(word: string, ranks: ReadonlyMap<string, number>): string[] {
  const pieces = Array.from(new TextEncoder().encode(word), (byte) => SIGNS[byte] ?? '');
  pieces.push(`${pieces.pop() ?? ''}${WORD_END}`);
  const rankAt = (index: number) =>
    ranks.get(`${pieces[index] ?? ''} ${pieces[index + 1] ?? ''}`) ?? Infinity;
  // A text without blanks, as in Chinese, is one long word: only what a merge changes is looked up again.
  const found = pieces.map((_, index) => rankAt(index));
  for (;;) {
    let best = 0;
    let lowest = Infinity;
    for (let index = 0; index < found.length; index++) {
      const rank = found[index] ?? Infinity;
      if (rank >= lowest) continue;
      best = index;
      lowest = rank;
    }
    if (lowest === Infinity) return pieces;
    pieces.splice(best, 2, `${pieces[best] ?? ''}${pieces[best + 1] ?? ''}`);
    found.splice(best, 1);
    found[best] = rankAt(best);
    if (best > 0) found[best - 1] = rankAt(best - 1);
  }
}

/** The text of tokens, with a blank after each word. */
function textOf(tokens: readonly string[]): string {
  const spaced = tokens.map((token) => {
    if (token.endsWith(WORD_END)) return `${token.slice(0, -WORD_END.length)} `;
    return token === START || token === END ? `${token} ` : token;
  });
  const bytes = Array.from(spaced.join(''), (sign) => BYTES.get(sign) ?? 0);
  return new TextDecoder().decode(new Uint8Array(bytes)).trim();
}

/**
 * The content of CLIP's `vocab.json`, which follows from its merges: a sign for each byte, the printable bytes first; the
 * same at the end of a word; what each merge makes; start and end. Source: openai/CLIP, clip/simple_tokenizer.py.
 *
 * @param merges text of `merges.txt`
 */
export function clipVocabulary(merges: string): Vocabulary {
  const signs = [
    ...SIGNS.filter((_, byte) => isPrintable(byte)),
    ...SIGNS.filter((_, byte) => !isPrintable(byte)),
  ];
  const tokens = [
    ...signs,
    ...signs.map((sign) => `${sign}${WORD_END}`),
    ...parseMerges(merges).map((pair) => pair.replace(' ', '')),
    START,
    END,
  ];
  return new Map(tokens.map((token, id) => [token, id]));
}

/** Pairs of tokens in `merges.txt` with a blank between, best first, without its version line. */
function parseMerges(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.indexOf(' ') > 0 && !line.startsWith('#version'));
}

/** Whether a byte is its own sign. */
function isPrintable(byte: number): boolean {
  return (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
}

/** The signs that stand for bytes in tokens: those that cannot be printed have letters beyond them. */
const SIGNS: readonly string[] = (() => {
  let others = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : others++));
})();

/** And back; blanks between words have no sign. */
const BYTES: ReadonlyMap<string, number> = new Map([
  ...SIGNS.map((sign, byte) => [sign, byte] as const),
  [' ', 32],
]);
