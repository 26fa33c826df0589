import { networkPack } from './tiny-finders.ts';
import { onnxGraph } from './tiny-onnx.ts';

/* Networks that find what words name, as people import them, with their usual inputs, outputs and tokenizers. */

/** What they know, and the id of the first of these tokens. The other words of their tokenizers they know nothing of. */
const [THINGS, FIRST] = [['red', 'green', 'colors'], 5] as const;

/** Middle, width and height of each in parts of the image: a quarter, another one, and both. */
const PLACES = [0.25, 0.25, 0.5, 0.5, 0.75, 0.25, 0.5, 0.5, 0.5, 0.25, 1, 0.5];

/** How certain each is, where its token is there. */
const LOGITS = [0.9, 0.6, 0.2].map((score) => Math.log(score / (1 - score)));

const TOKENS = THINGS.map((_, index) => FIRST + index);

/** A Grounding DINO: nothing is certain where a mask has zeros, or the types of the tokens ones. */
export const tinyGroundingDino = () =>
  onnxGraph({
    inputs: {
      input_ids: ['batch_size', 'sequence_length'],
      token_type_ids: ['batch_size', 'sequence_length'],
      attention_mask: ['batch_size', 'sequence_length'],
      pixel_values: ['batch_size', 3, 'height', 'width'],
      pixel_mask: ['batch_size', 'height', 'width'],
    },
    wholeInputs: ['input_ids', 'token_type_ids', 'attention_mask', 'pixel_mask'],
    outputs: { logits: ['batch_size', 3, 'sequence_length'], pred_boxes: ['batch_size', 3, 4] },
    constants: {
      tokens: { dims: [1, 3, 1], values: TOKENS, whole: true },
      certain: { dims: [1, 3, 1], values: LOGITS },
      uncertain: { dims: [1], values: [-9] },
      axis: { dims: [1], values: [1], whole: true },
      places: { dims: [1, 3, 4], values: PLACES },
    },
    nodes: [
      { op: 'Unsqueeze', inputs: ['input_ids', 'axis'], outputs: ['ids'] },
      { op: 'Equal', inputs: ['ids', 'tokens'], outputs: ['isNamed'] },
      { op: 'Where', inputs: ['isNamed', 'certain', 'uncertain'], outputs: ['named'] },
      { op: 'Cast', inputs: ['pixel_mask'], outputs: ['pixels'], ints: { to: 1 } },
      // The mask has the size of the image.
      { op: 'ReduceMax', inputs: ['pixel_values'], outputs: ['light'], ints: { axes: [1], keepdims: 0 } },
      { op: 'Max', inputs: ['light', 'pixels'], outputs: ['lightest'] },
      { op: 'Min', inputs: ['lightest', 'pixels'], outputs: ['seen'] },
      { op: 'ReduceMean', inputs: ['seen'], outputs: ['share'], ints: { keepdims: 0 } },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['attended'], ints: { to: 1 } },
      { op: 'ReduceMean', inputs: ['attended'], outputs: ['read'], ints: { keepdims: 0 } },
      { op: 'Cast', inputs: ['token_type_ids'], outputs: ['types'], ints: { to: 1 } },
      { op: 'ReduceMean', inputs: ['types'], outputs: ['type'], ints: { keepdims: 0 } },
      { op: 'Sub', inputs: ['read', 'type'], outputs: ['text'] },
      { op: 'Mul', inputs: ['text', 'share'], outputs: ['weight'] },
      { op: 'Mul', inputs: ['named', 'weight'], outputs: ['logits'] },
      { op: 'Identity', inputs: ['places'], outputs: ['pred_boxes'] },
    ],
  });

/** An OWL-ViT, which reads what its attention mask lets it read. */
export const tinyOwlVit = () =>
  onnxGraph({
    inputs: {
      input_ids: ['text_batch_size', 'sequence_length'],
      pixel_values: ['image_batch_size', 3, 32, 32],
      attention_mask: ['text_batch_size', 'sequence_length'],
    },
    wholeInputs: ['input_ids', 'attention_mask'],
    outputs: {
      logits: ['image_batch_size', 3, 'text_batch_size'],
      pred_boxes: ['image_batch_size', 3, 4],
      image_embeds: ['image_batch_size', 3, 32, 32],
    },
    constants: {
      tokens: { dims: [3, 1, 1], values: TOKENS, whole: true },
      certain: { dims: [1, 3, 1], values: LOGITS },
      uncertain: { dims: [1], values: [-9] },
      half: { dims: [1], values: [0.5] },
      axis: { dims: [1], values: [0], whole: true },
      places: { dims: [1, 3, 4], values: PLACES },
    },
    nodes: [
      { op: 'Unsqueeze', inputs: ['input_ids', 'axis'], outputs: ['ids'] },
      { op: 'Equal', inputs: ['ids', 'tokens'], outputs: ['isNamed'] },
      { op: 'Cast', inputs: ['isNamed'], outputs: ['named'], ints: { to: 1 } },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['attended'], ints: { to: 1 } },
      { op: 'Mul', inputs: ['named', 'attended'], outputs: ['read'] },
      { op: 'ReduceMax', inputs: ['read'], outputs: ['found'], ints: { axes: [2], keepdims: 0 } },
      { op: 'Unsqueeze', inputs: ['found', 'axis'], outputs: ['queries'] },
      { op: 'Greater', inputs: ['queries', 'half'], outputs: ['isFound'] },
      { op: 'Where', inputs: ['isFound', 'certain', 'uncertain'], outputs: ['logits'] },
      { op: 'Identity', inputs: ['places'], outputs: ['pred_boxes'] },
      { op: 'Identity', inputs: ['pixel_values'], outputs: ['image_embeds'] },
    ],
  });

/** A decoder of a Segment Anything that reads rectangles: its mask is one, shrunk by 16 pixels of the network's square. */
export const tinyBoxSamDecoder = () =>
  onnxGraph({
    inputs: {
      input_boxes: ['batch_size', 'boxes', 4],
      image_embeddings: ['batch_size', 3, 256, 256],
      image_positional_embeddings: ['batch_size', 3, 256, 256],
    },
    outputs: { iou_scores: ['batch_size', 1, 1], pred_masks: ['batch_size', 1, 1, 256, 256] },
    constants: {
      across: { dims: [1, 256], values: Array.from({ length: 256 }, (_, x) => 4 * x + 2) },
      down: { dims: [256, 1], values: Array.from({ length: 256 }, (_, y) => 4 * y + 2) },
      margin: { dims: [1], values: [16] },
      sides: { dims: [3], values: [4, 1, 1], whole: true },
      whole: { dims: [5], values: [1, 1, 1, 256, 256], whole: true },
      first: { dims: [1], values: [0], whole: true },
      second: { dims: [1], values: [1], whole: true },
      third: { dims: [1], values: [2], whole: true },
      fourth: { dims: [1], values: [3], whole: true },
      score: { dims: [1, 1, 1], values: [0.75] },
    },
    nodes: [
      { op: 'Reshape', inputs: ['input_boxes', 'sides'], outputs: ['corners'] },
      ...['first', 'second', 'third', 'fourth'].map((index) => ({
        op: 'Gather',
        inputs: ['corners', index],
        outputs: [`${index}Corner`],
        ints: { axis: 0 },
      })),
      { op: 'Sub', inputs: ['across', 'firstCorner'], outputs: ['fromLeft'] },
      { op: 'Sub', inputs: ['down', 'secondCorner'], outputs: ['fromTop'] },
      { op: 'Sub', inputs: ['thirdCorner', 'across'], outputs: ['toRight'] },
      { op: 'Sub', inputs: ['fourthCorner', 'down'], outputs: ['toBottom'] },
      { op: 'Min', inputs: ['fromLeft', 'fromTop', 'toRight', 'toBottom'], outputs: ['depth'] },
      { op: 'Sub', inputs: ['depth', 'margin'], outputs: ['inside'] },
      { op: 'Reshape', inputs: ['inside', 'whole'], outputs: ['pred_masks'] },
      { op: 'Identity', inputs: ['score'], outputs: ['iou_scores'] },
    ],
  });

/** As BERT's: whole words, and a token for what it does not know. */
export const BERT_TOKENIZER = JSON.stringify({
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, '.': 4, red: 5, green: 6, colors: 7 },
  },
});

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz');
const CLIP_PIECES = ['re', 'gre', 'en</w>', 'co', 'lo', 'colo', 'rs</w>', ...LETTERS];
const CLIP_VOCABULARY = ['!', '"', '#', '$', '%', 'red</w>', 'green</w>', 'colors</w>'].concat(
  CLIP_PIECES,
  LETTERS.map((letter) => `${letter}</w>`),
  ['<|startoftext|>', '<|endoftext|>'],
);
const [START, END] = [CLIP_VOCABULARY.length - 2, CLIP_VOCABULARY.length - 1];

/** As CLIP's: byte pairs. */
export const CLIP_TOKENIZER = JSON.stringify({
  added_tokens: [
    { id: START, content: '<|startoftext|>', special: true },
    { id: END, content: '<|endoftext|>', special: true },
  ],
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '[\\p{L}]+|[^\\s\\p{L}]+' }, behavior: 'Removed', invert: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    ],
  },
  post_processor: {
    type: 'RobertaProcessing',
    sep: ['<|endoftext|>', END],
    cls: ['<|startoftext|>', START],
  },
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    unk_token: '<|endoftext|>',
    end_of_word_suffix: '</w>',
    vocab: Object.fromEntries(CLIP_VOCABULARY.map((token, id) => [token, id])),
    merges: [
      'r e',
      're d</w>',
      'g re',
      'e n</w>',
      'gre en</w>',
      'c o',
      'l o',
      'co lo',
      'r s</w>',
      'colo rs</w>',
    ],
  },
});

const bytes = (text: string) => new TextEncoder().encode(text);

export const groundingDinoPack = () =>
  networkPack('finder', 'tiny-dino', 'grounding-dino', {
    'model.onnx': tinyGroundingDino(),
    'tokenizer.json': bytes(BERT_TOKENIZER),
    'preprocessor_config.json': bytes(JSON.stringify({ size: { shortest_edge: 24, longest_edge: 40 } })),
  });

export const owlVitPack = (id = 'tiny-owl', config: object = {}) =>
  networkPack('finder', id, 'owlvit', {
    'model.onnx': tinyOwlVit(),
    'tokenizer.json': bytes(CLIP_TOKENIZER),
    'preprocessor_config.json': bytes(JSON.stringify(config)),
  });
