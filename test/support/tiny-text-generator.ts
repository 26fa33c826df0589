import type { AddOnPack } from '#protocol/model.ts';
import { networkPack } from './tiny-finders.ts';
import { onnxGraph } from './tiny-onnx.ts';
import type { FilledPack } from './tiny-packs.ts';

/* A text generator as people import it, in the layout of the hub, whose answers are known. */

/** Its tokens by their ids. */
const WORDS = ['<|endoftext|>', 'a', 'Ġcat', ',', 'Ġgolden', 'Ġshiny', 'Ġugly', 'Ġvivid', 'Ċ', 'Ġ('] as const;

const row = (scores: Partial<Record<(typeof WORDS)[number], number>>) =>
  WORDS.map((word) => scores[word] ?? -20);

/** What it likes after each token: `ugly` best of all, the end after it, and brackets now and then. */
const LIKES = WORDS.map((word) =>
  word === 'Ġugly'
    ? row({ '<|endoftext|>': 30, Ġshiny: 2 })
    : row({ Ġugly: 4, 'Ġ(': 4, Ċ: 4, Ġgolden: 1, Ġshiny: 1, Ġvivid: 1, ',': -1 }),
);

/** With a memory of the tokens it has read, which count for nothing, but have to be as many as the mask says. @param unused numbers that make its file larger */
export const tinyTextGenerator = (unused = 0): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: {
      input_ids: ['batch', 'tokens'],
      attention_mask: ['batch', 'all'],
      'past_key_values.0.key': ['batch', 1, 'past', 1],
    },
    wholeInputs: ['input_ids', 'attention_mask'],
    outputs: { logits: ['batch', 'tokens', WORDS.length], 'present.0.key': ['batch', 1, 'past+n', 1] },
    constants: {
      likes: { dims: [WORDS.length, WORDS.length], values: LIKES.flat() },
      axes: { dims: [2], values: [1, 3], whole: true },
      none: { dims: [1], values: [0] },
      ...(unused > 0 && { unused: { dims: [unused], values: new Array<number>(unused).fill(0) } }),
    },
    nodes: [
      { op: 'Gather', inputs: ['likes', 'input_ids'], outputs: ['scores'] },
      { op: 'Cast', inputs: ['input_ids'], outputs: ['read'], ints: { to: 1 } },
      { op: 'Unsqueeze', inputs: ['read', 'axes'], outputs: ['more'] },
      {
        op: 'Concat',
        inputs: ['past_key_values.0.key', 'more'],
        outputs: ['present.0.key'],
        ints: { axis: 2 },
      },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], ints: { to: 1 } },
      { op: 'Unsqueeze', inputs: ['mask', 'axes'], outputs: ['masked'] },
      // Fails where mask and memory are not equally long.
      { op: 'Mul', inputs: ['masked', 'present.0.key'], outputs: ['both'] },
      { op: 'ReduceSum', inputs: ['both'], outputs: ['sum'], ints: { keepdims: 0 } },
      { op: 'Mul', inputs: ['sum', 'none'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['scores', 'nothing'], outputs: ['logits'] },
    ],
  });

/** Without a memory: it has to be given all tokens each time. */
export const forgetfulTextGenerator = (): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: { input_ids: ['batch', 'tokens'] },
    wholeInputs: ['input_ids'],
    outputs: { logits: ['batch', 'tokens', WORDS.length], 'present.0.key': ['batch', 'tokens'] },
    constants: { likes: { dims: [WORDS.length, WORDS.length], values: LIKES.flat() } },
    nodes: [
      { op: 'Gather', inputs: ['likes', 'input_ids'], outputs: ['logits'] },
      { op: 'Cast', inputs: ['input_ids'], outputs: ['present.0.key'], ints: { to: 1 } },
    ],
  });

/** The files beside its graph. */
export const TEXT_GENERATOR_FILES = {
  'config.json': JSON.stringify({ model_type: 'gpt2', eos_token_id: 0 }),
  'tokenizer.json': JSON.stringify({
    added_tokens: [{ id: 0, content: WORDS[0], special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      ignore_merges: true,
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
      merges: [],
    },
  }),
};

/** The words that Fooocus' generator may use. */
export const WORD_LIST = { 'positive.txt': 'Golden\nshiny\r\nvivid\n\nunheard-of\n' };

/** An installed one. @param changes of its files; undefined is missing */
export function textGeneratorPack(
  changes: Readonly<Record<string, string | Uint8Array<ArrayBuffer> | undefined>> = {},
  id = 'tiny-expander',
): FilledPack<AddOnPack> {
  const encode = new TextEncoder();
  const all: typeof changes = {
    'decoder_model_merged.onnx': tinyTextGenerator(),
    ...TEXT_GENERATOR_FILES,
    ...changes,
  };
  const files = Object.entries(all).flatMap(([path, content]): [string, Uint8Array<ArrayBuffer>][] =>
    content === undefined ? [] : [[path, typeof content === 'string' ? encode.encode(content) : content]],
  );
  return networkPack('prompt-expansion', id, 'text-generation', Object.fromEntries(files));
}
