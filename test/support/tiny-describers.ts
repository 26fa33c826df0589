import type { AddOnPack } from '#protocol/model.ts';
import { onnxGraph } from './tiny-onnx.ts';
import type { FilledPack } from './tiny-packs.ts';

/* Describers as people import them, with their usual inputs and outputs, and results that are known. */

/** As `selected_tags.csv` has them: a rating, and the mean of each channel, blue first. */
export const WD_TAGS = `tag_id,name,category,count
9999999,general,9,807858
1,blue_sky,0,3
2,"green_(plant, large)",0,2
3,red_hair,4,1
`;

/** As `tags.txt` has them: the mean of each channel, red first, and a rating. */
export const DEEPDANBOORU_TAGS = 'red_hair\ngreen_plant\nblue_sky\nrating:safe\n';

/** The tokens of {@link tinyCaptioner}, by their ids; the first begins and ends a text. */
const TOKENS = ['<|endoftext|>', 'a', 'Ġred', 'Ġgreen', 'Ġblue', 'Ġimage'];

/** A row of {@link tinyCaptionDecoder} that favours no token. */
const NOTHING = TOKENS.map(() => 0);

/** A tagger whose tags are as certain as a channel is bright. @param white the sample of white */
function tagger(side: number, white: number, rating: 'first' | 'last'): Uint8Array<ArrayBuffer> {
  return onnxGraph({
    inputs: { input: ['batch', side, side, 3] },
    outputs: { output: ['batch', 4] },
    constants: {
      white: { dims: [1], values: [white] },
      rating: { dims: [1, 1], values: [0.99] },
    },
    nodes: [
      { op: 'ReduceMean', inputs: ['input'], outputs: ['mean'], ints: { axes: [1, 2], keepdims: 0 } },
      { op: 'Div', inputs: ['mean', 'white'], outputs: ['scores'] },
      {
        op: 'Concat',
        inputs: rating === 'first' ? ['rating', 'scores'] : ['scores', 'rating'],
        outputs: ['output'],
        ints: { axis: 1 },
      },
    ],
  });
}

/** A WD14 tagger. */
export const tinyWdTagger = () => tagger(448, 255, 'first');

/** A DeepDanbooru. */
export const tinyDeepDanbooru = () => tagger(512, 1, 'last');

/** The image encoder of a captioner: the mean of each channel. */
export const tinyCaptionEncoder = () =>
  onnxGraph({
    inputs: { pixel_values: ['batch', 3, 'height', 'width'] },
    outputs: { last_hidden_state: ['batch', 'tokens', 3] },
    constants: { shape: { dims: [3], values: [1, 1, 3], whole: true } },
    nodes: [
      { op: 'ReduceMean', inputs: ['pixel_values'], outputs: ['mean'], ints: { axes: [2, 3], keepdims: 0 } },
      { op: 'Reshape', inputs: ['mean', 'shape'], outputs: ['last_hidden_state'] },
    ],
  });

/** Its decoder: `a <color> image`, where its memory alone says how far it is. */
export const tinyCaptionDecoder = () =>
  onnxGraph({
    inputs: {
      input_ids: ['batch', 'tokens'],
      encoder_hidden_states: ['batch', 'seen', 3],
      use_cache_branch: [1],
      'past_key_values.0.key': ['batch', 1, 'past', 4],
    },
    wholeInputs: ['input_ids'],
    flags: ['use_cache_branch'],
    outputs: { logits: ['batch', 'tokens', 6], 'present.0.key': ['batch', 1, 'past+1', 4] },
    constants: {
      // Token 1, one of the colors, token 5, the end.
      fixed: {
        dims: [4, 6],
        values: [0, 9, 0, 0, 0, 0, ...NOTHING, 0, 0, 0, 0, 0, 9, 9, 0, 0, 0, 0, 0],
      },
      isColor: { dims: [4, 1], values: [0, 1, 0, 0] },
      colors: { dims: [3, 6], values: [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0] },
      axis: { dims: [1], values: [2], whole: true },
      more: { dims: [1, 1, 1, 4], values: [0, 0, 0, 0] },
    },
    nodes: [
      { op: 'Shape', inputs: ['past_key_values.0.key'], outputs: ['sides'] },
      { op: 'Gather', inputs: ['sides', 'axis'], outputs: ['read'] },
      { op: 'Gather', inputs: ['fixed', 'read'], outputs: ['word'] },
      { op: 'Gather', inputs: ['isColor', 'read'], outputs: ['weight'] },
      { op: 'MatMul', inputs: ['encoder_hidden_states', 'colors'], outputs: ['color'] },
      { op: 'Mul', inputs: ['color', 'weight'], outputs: ['weighted'] },
      { op: 'Add', inputs: ['weighted', 'word'], outputs: ['logits'] },
      {
        op: 'Concat',
        inputs: ['past_key_values.0.key', 'more'],
        outputs: ['present.0.key'],
        ints: { axis: 2 },
      },
    ],
  });

/** The configurations beside a captioner's graphs. */
export const CAPTIONER_FILES = {
  'config.json': JSON.stringify({ decoder_start_token_id: 0, eos_token_id: 0 }),
  'preprocessor_config.json': JSON.stringify({ size: { width: 16, height: 16 }, resample: 2 }),
  'tokenizer.json': JSON.stringify({
    added_tokens: [{ id: 0, content: TOKENS[0], special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])), merges: [] },
  }),
};

/** The tokens of {@link tinyFlorence}, by their ids. */
const FLORENCE_TOKENS = [
  '<s>',
  '<pad>',
  '</s>',
  'a',
  'Ġred',
  'Ġgreen',
  'Ġblue',
  'Ġimage',
  'paragraph',
  '<unk>',
  'Ġdetail',
];

const ids = (...words: readonly string[]) => FLORENCE_TOKENS.map((token) => (words.includes(token) ? 9 : 0));

/** More than what an image makes of a word, less than what {@link PARAGRAPH} does. */
const end = ids('</s>').map((value) => 20 * value);

/** What stands for the word “paragraph” in the embedding of a question. */
const PARAGRAPH = 100;

/**
 * The four graphs of a Florence-2: `a <color> image`, and ` detail` behind it for a question with the word “paragraph”. The
 * decoder's memory alone says how far it is, and nothing is said where the mask of what it reads has zeros.
 */
export const tinyFlorence = (): Readonly<Record<string, Uint8Array<ArrayBuffer>>> => ({
  'vision_encoder.onnx': onnxGraph({
    inputs: { pixel_values: ['batch_size', 3, 'height', 'width'] },
    outputs: { image_features: ['batch_size', 'tokens', 3] },
    constants: { shape: { dims: [3], values: [1, 1, 3], whole: true } },
    nodes: [
      { op: 'ReduceMean', inputs: ['pixel_values'], outputs: ['mean'], ints: { axes: [2, 3], keepdims: 0 } },
      { op: 'Reshape', inputs: ['mean', 'shape'], outputs: ['image_features'] },
    ],
  }),
  'embed_tokens.onnx': onnxGraph({
    inputs: { input_ids: ['batch_size', 'sequence_length'] },
    wholeInputs: ['input_ids'],
    outputs: { inputs_embeds: ['batch_size', 'sequence_length', 3] },
    constants: {
      table: {
        dims: [FLORENCE_TOKENS.length, 3],
        values: FLORENCE_TOKENS.flatMap((token) => [0, 0, token === 'paragraph' ? PARAGRAPH : 0]),
      },
    },
    nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['inputs_embeds'] }],
  }),
  'encoder_model.onnx': onnxGraph({
    inputs: {
      attention_mask: ['batch_size', 'encoder_sequence_length'],
      inputs_embeds: ['batch_size', 'encoder_sequence_length', 3],
    },
    wholeInputs: ['attention_mask'],
    outputs: { last_hidden_state: ['batch_size', 'encoder_sequence_length', 3] },
    constants: { axis: { dims: [1], values: [2], whole: true } },
    nodes: [
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], ints: { to: 1 } },
      { op: 'Unsqueeze', inputs: ['mask', 'axis'], outputs: ['weights'] },
      { op: 'Mul', inputs: ['inputs_embeds', 'weights'], outputs: ['last_hidden_state'] },
    ],
  }),
  'decoder_model_merged.onnx': onnxGraph({
    inputs: {
      encoder_attention_mask: ['batch_size', 'encoder_sequence_length'],
      encoder_hidden_states: ['batch_size', 'encoder_sequence_length', 3],
      inputs_embeds: ['batch_size', 'decoder_sequence_length', 3],
      use_cache_branch: [1],
      'past_key_values.0.decoder.key': ['batch_size', 1, 'past', 3],
    },
    wholeInputs: ['encoder_attention_mask'],
    flags: ['use_cache_branch'],
    outputs: {
      logits: ['batch_size', 'decoder_sequence_length', FLORENCE_TOKENS.length],
      'present.0.decoder.key': ['batch_size', 1, 'past+1', 3],
    },
    constants: {
      // By how many tokens are read already: two at once begin the text.
      words: {
        dims: [6, FLORENCE_TOKENS.length],
        values: [...ids('a'), ...ids(), ...ids(), ...ids('Ġimage'), ...end, ...end],
      },
      isColor: { dims: [6, 1], values: [0, 0, 1, 0, 0, 0] },
      isDetail: { dims: [6, 1], values: [0, 0, 0, 0, 1, 0] },
      colors: {
        dims: [3, FLORENCE_TOKENS.length],
        values: ['Ġred', 'Ġgreen', 'Ġblue'].flatMap((color) => ids(color)),
      },
      detail: { dims: [1, FLORENCE_TOKENS.length], values: ids('Ġdetail') },
      zero: { dims: [1], values: [0], whole: true },
      two: { dims: [1], values: [2], whole: true },
      axis: { dims: [1], values: [1], whole: true },
    },
    nodes: [
      { op: 'Shape', inputs: ['past_key_values.0.decoder.key'], outputs: ['sides'] },
      { op: 'Gather', inputs: ['sides', 'two'], outputs: ['read'] },
      { op: 'Gather', inputs: ['words', 'read'], outputs: ['word'] },
      { op: 'Gather', inputs: ['isColor', 'read'], outputs: ['colorWeight'] },
      { op: 'Gather', inputs: ['isDetail', 'read'], outputs: ['detailWeight'] },
      { op: 'Gather', inputs: ['encoder_hidden_states', 'zero'], outputs: ['image'], ints: { axis: 1 } },
      { op: 'MatMul', inputs: ['image', 'colors'], outputs: ['color'] },
      { op: 'Mul', inputs: ['color', 'colorWeight'], outputs: ['colorWord'] },
      // 100 where the question has the word.
      { op: 'ReduceMax', inputs: ['encoder_hidden_states'], outputs: ['most'], ints: { keepdims: 0 } },
      { op: 'Mul', inputs: ['detail', 'most'], outputs: ['said'] },
      { op: 'Mul', inputs: ['said', 'detailWeight'], outputs: ['detailWord'] },
      { op: 'Cast', inputs: ['encoder_attention_mask'], outputs: ['mask'], ints: { to: 1 } },
      { op: 'ReduceMin', inputs: ['mask'], outputs: ['isRead'], ints: { keepdims: 0 } },
      { op: 'Add', inputs: ['word', 'colorWord'], outputs: ['wordOrColor'] },
      { op: 'Add', inputs: ['wordOrColor', 'detailWord'], outputs: ['anyWord'] },
      { op: 'Mul', inputs: ['anyWord', 'isRead'], outputs: ['logits'] },
      { op: 'Unsqueeze', inputs: ['inputs_embeds', 'axis'], outputs: ['more'] },
      {
        op: 'Concat',
        inputs: ['past_key_values.0.decoder.key', 'more'],
        outputs: ['present.0.decoder.key'],
        ints: { axis: 2 },
      },
    ],
  }),
});

/** The configurations beside a Florence-2's graphs. */
export const FLORENCE_FILES = {
  'config.json': JSON.stringify({
    model_type: 'florence2',
    text_config: { decoder_start_token_id: 2, eos_token_id: 2, forced_bos_token_id: 0 },
  }),
  'generation_config.json': JSON.stringify({ num_beams: 3, no_repeat_ngram_size: 3 }),
  'preprocessor_config.json': JSON.stringify({ size: { width: 16, height: 16 }, resample: 3 }),
  'tokenizer.json': JSON.stringify({
    added_tokens: ['<s>', '<pad>', '</s>', 'paragraph', '<unk>'].map((content) => ({
      id: FLORENCE_TOKENS.indexOf(content),
      content,
      special: content.startsWith('<'),
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      vocab: Object.fromEntries(FLORENCE_TOKENS.map((token, id) => [token, id])),
      merges: [],
    },
  }),
};

/** A pack of these files, as an import makes it. */
function describerPack(
  facts: Pick<AddOnPack, 'id' | 'kind' | 'title'> & { network: string },
  files: Readonly<Record<string, Uint8Array<ArrayBuffer> | string>>,
): FilledPack<AddOnPack> {
  const blobs = Object.fromEntries(
    Object.entries(files).map(([path, content]) => [path, new Blob([content])]),
  );
  return {
    files: blobs,
    pack: {
      ...facts,
      description: '',
      licence: { name: 'unknown' },
      credits: '',
      url: null,
      family: null,
      files: Object.entries(blobs).map(([path, { size }]) => ({ path, sizeBytes: size, sha256: null })),
    },
  };
}

export const wdTaggerPack = () =>
  describerPack(
    { id: 'tiny-wd', kind: 'tagger', title: 'Tiny WD', network: 'wd-tagger' },
    { 'model.onnx': tinyWdTagger(), 'selected_tags.csv': WD_TAGS },
  );

export const deepDanbooruPack = () =>
  describerPack(
    { id: 'tiny-dd', kind: 'tagger', title: 'Tiny DeepDanbooru', network: 'deepdanbooru' },
    { 'model.onnx': tinyDeepDanbooru(), 'tags.txt': DEEPDANBOORU_TAGS },
  );

export const captionerPack = () =>
  describerPack(
    { id: 'tiny-captioner', kind: 'captioner', title: 'Tiny captioner', network: 'vision-encoder-decoder' },
    {
      'encoder_model.onnx': tinyCaptionEncoder(),
      'decoder_model_merged.onnx': tinyCaptionDecoder(),
      ...CAPTIONER_FILES,
    },
  );

export const florencePack = () =>
  describerPack(
    { id: 'tiny-florence', kind: 'captioner', title: 'Tiny Florence', network: 'florence2' },
    { ...tinyFlorence(), ...FLORENCE_FILES },
  );
