import { Tokenizer } from '@huggingface/tokenizers';
import { AppError } from '#protocol/error.ts';

/** Tokens of one run of a CLIP text encoder: start, {@link CHUNK_CONTENT}, end. */
export const CHUNK_LENGTH = 77;
/** Tokens of text in one run. */
export const CHUNK_CONTENT = CHUNK_LENGTH - 2;

const START = '<|startoftext|>';
const END = '<|endoftext|>';

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
const WHITE_SPACE = '[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';

const WORDS = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^ \\p{L}\\p{N}]+";

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
  vocabulary: Readonly<Record<string, number>>,
  merges: string,
  options: ClipTokenizerOptions = {},
): ClipTokenizer {
  const idOf = (token: string): number => {
    const id = Object.hasOwn(vocabulary, token) ? vocabulary[token] : undefined;
    if (id === undefined) {
      throw new AppError(
        'integrity_failed',
        `This is not the vocabulary of a CLIP tokenizer: "${token}" is missing.`,
        {
          detail: { token },
        },
      );
    }
    return id;
  };
  const startId = idOf(START);
  const endId = idOf(END);
  const padId = options.padToken === undefined ? endId : idOf(options.padToken);
  const commaId = idOf(',</w>');

  const split = (pattern: string) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Removed',
    invert: true,
  });
  const special = (content: string, id: number) => ({ id, content, special: true, normalized: false });
  const tokenizer = new Tokenizer(
    {
      added_tokens: [special(START, startId), special(END, endId)],
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'NFC' },
          { type: 'Replace', pattern: { Regex: WHITE_SPACE }, content: ' ' },
          // The reference lowers letter by letter; JavaScript would write a final sigma at the end of a word.
          { type: 'Replace', pattern: { String: 'Σ' }, content: 'σ' },
          { type: 'Lowercase' },
        ],
      },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          // Special tokens in capitals are plain text, but the reference still cuts around them before it splits them.
          split(`<\\|startoftext\\|>|<\\|endoftext\\|>|${WORDS}`),
          split(WORDS),
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
      model: {
        type: 'BPE',
        vocab: vocabulary,
        merges: parseMerges(merges),
        unk_token: END,
        end_of_word_suffix: '</w>',
      },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: false },
    },
    {},
  );

  return {
    startId,
    endId,
    padId,
    commaId,
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (ids) =>
      ids.length === 0 ? '' : tokenizer.decode([...ids], { clean_up_tokenization_spaces: false }).trim(),
  };
}

/**
 * The content of CLIP's `vocab.json`, which follows from its merges: a sign for each byte, the printable bytes first; the
 * same at the end of a word; what each merge makes; start and end. Source: openai/CLIP, clip/simple_tokenizer.py.
 *
 * @param merges text of `merges.txt`
 */
export function clipVocabulary(merges: string): Readonly<Record<string, number>> {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const signs = [
    ...bytes.filter(isPrintable).map((byte) => String.fromCharCode(byte)),
    ...bytes.filter((byte) => !isPrintable(byte)).map((_, index) => String.fromCharCode(256 + index)),
  ];
  const tokens = [
    ...signs,
    ...signs.map((sign) => `${sign}</w>`),
    ...parseMerges(merges).map((pair) => pair.join('')),
    START,
    END,
  ];
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

/** The pairs of `merges.txt`, best first, without its version line. */
function parseMerges(text: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (const line of text.split('\n')) {
    const blank = line.indexOf(' ');
    if (blank > 0 && !line.startsWith('#version'))
      pairs.push([line.slice(0, blank), line.slice(blank + 1).trimEnd()]);
  }
  return pairs;
}
