import type { Tokenizer } from '@huggingface/tokenizers';
import { seedState, MersenneTwister } from '#codecs/mersenne-twister.ts';
import { drawToken } from '#engine/text/choose-token.ts';
import { createDecoder } from '#engine/text/text-decoder.ts';
import { decodeTokens, readHubTokenizer } from '#engine/tokenizers/hub.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { openVisionNetwork } from '#engine/vision/open-network.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import type { PromptExpansion } from '#protocol/prompt-expansion.ts';

/** Tokens of CLIP's window: a text is filled up to a multiple of it, in tokens of the generator. */
const WINDOW = 75;

/** Words of a text come from so many likeliest tokens. */
const TOP_K = 100;

/** The words that Fooocus' generator may use, one a line; without the file all may come. */
const WORD_LIST = 'positive.txt';

/** How GPT-2's vocabulary writes a blank at the beginning of a token. */
const BLANK = 'Ġ';

/** What would be emphasis, a LoRA or the end of a line in a prompt; line ends as GPT-2's vocabulary writes them. */
const NO_WORDS = /[()[\]{}<>|\\":Ċč]/;

/** Which tokens may come. */
interface Vocabulary {
  tokenizer: Tokenizer;
  /** Null where none is given: then any may that is a word, as often as it likes, and the text may end. */
  allowed: ReadonlySet<number> | null;
  endId: number | null;
  /** How many tokens it reads at most, those that it adds included. */
  most: number;
  /** Tokens that are no words. */
  refused: ReadonlySet<number>;
}

/**
 * Goes on with a text by an installed text generator, to the end of CLIP's window. With a list of words each comes once at most,
 * and the comma as often as it likes. Source: Fooocus, extras/expansion.py; the random numbers are others.
 * @returns the text and what was added, without commas and blanks at its ends; the text alone where it was stopped
 * @throws AppError `model_not_found` where it is not installed, `integrity_failed` for a damaged one, `unsupported_feature` for
 *   graphs of another form, and what the runtime throws
 */
export async function continueText(
  run: RunContext,
  { model, text, seed }: Pick<PromptExpansion, 'model' | 'text' | 'seed'>,
): Promise<string> {
  const own = tidy(text);
  if (own === '') return '';
  const pack = findAddOn(run, 'prompt-expansion', model);
  const vocabulary = await readVocabulary(run, pack);
  const { tokenizer, endId, most } = vocabulary;
  const prompt = tokenizer.encode(`${own},`, { add_special_tokens: false }).ids;
  const session = await openVisionNetwork(run, pack);
  const read = createDecoder(session);
  const random = new MersenneTwister(seedState(seed));
  const added: number[] = [];
  const count = Math.min(WINDOW * Math.ceil(prompt.length / WINDOW), most) - prompt.length;
  const used = new Set(prompt);
  const comma = tokenizer.token_to_id(',');
  for (let fresh: readonly number[] = prompt; added.length < count && !run.stop.cancelled;) {
    const logits = restrict(await read(fresh), vocabulary, used, comma);
    const id = drawToken(logits, TOP_K, () => random.uint32() / 2 ** 32);
    if (id === null || id === endId) break;
    added.push(id);
    used.add(id);
    fresh = [id];
    await yieldToEvents();
  }
  return tidy(`${own},${decodeTokens(tokenizer, added)}`);
}

async function readVocabulary(run: RunContext, pack: AddOnPack): Promise<Vocabulary> {
  const files = run.addOns.files(pack);
  const tokenizer = await readHubTokenizer(pack, files);
  const config = await files.readJson('config.json');
  const generation = (await files.findJson('generation_config.json')) ?? {};
  const end = generation['eos_token_id'] ?? config['eos_token_id'];
  const tokens = tokenizer.get_vocab();
  if (tokens.size === 0) {
    throw new AppError(
      'integrity_failed',
      `tokenizer.json of ${pack.title} has no tokens. Install it again.`,
      {
        detail: { model: pack.id, file: 'tokenizer.json' },
      },
    );
  }
  const isListed = pack.files.some(({ path }) => path === WORD_LIST);
  const words = isListed ? (await (await files.read(WORD_LIST)).text()).split(/\r?\n/) : [];
  const allowed = words.flatMap((word) =>
    word === '' ? [] : (tokens.get(BLANK + word.toLowerCase()) ?? []),
  );
  const endId = typeof end === 'number' ? end : null;
  const most = config['n_positions'] ?? config['max_position_embeddings'];
  const special = new Set(tokenizer.get_added_tokens_decoder().keys());
  return {
    tokenizer,
    allowed: isListed ? new Set(allowed) : null,
    endId,
    most: typeof most === 'number' ? most : Infinity,
    refused: new Set(
      Array.from(tokens)
        .filter(([token, id]) => id !== endId && (special.has(id) || NO_WORDS.test(token)))
        .map(([, id]) => id),
    ),
  };
}

/** The logits of the tokens that may come, -Infinity for the others. */
function restrict(
  logits: Float32Array,
  { allowed, refused }: Vocabulary,
  used: ReadonlySet<number>,
  comma: number | undefined,
): Float32Array {
  const mayCome = allowed
    ? (id: number) => id === comma || (allowed.has(id) && !used.has(id))
    : (id: number) => !refused.has(id);
  return logits.map((value, id) => (mayCome(id) ? value : -Infinity));
}

/** Single blanks, and neither commas nor full stops nor blanks at the ends. */
function tidy(text: string): string {
  return text.replace(/ {2,}/g, ' ').replace(/^[,. \r\n]+|[,. \r\n]+$/g, '');
}
