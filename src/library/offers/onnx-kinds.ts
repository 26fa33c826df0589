import type { OnnxHeader, OnnxValue } from '#codecs/onnx-header.ts';
import type { AddOnKind } from '#protocol/model.ts';

/** What is known of a graph before any of its weights are read. */
export interface OnnxFacts extends Pick<OnnxHeader, 'inputs' | 'outputs'> {
  /** The name of its file or repository, which says what headers do not; lower case. */
  title: string;
}

/** A network in ONNX files that is used by itself, not within a checkpoint's pipeline. */
export interface OnnxKind {
  kind: AddOnKind;
  /** See {@link AddOnPack}. */
  network: string;
  /** For people, such as `Salient object network (U²-Net)`. */
  title: string;
  /** The graphs it consists of, by their files' names without `.onnx`, where that is not one of any name. */
  graphs?: readonly string[];
  /** Whether they are taken in int8 where all are there with `_quantized` in their names: a quarter of the size. */
  prefersQuantised?: boolean;
  /** Files beside the graphs that it needs. */
  needs?: readonly string[];
  /** Files beside the graphs that are brought along where they are there. */
  extras?: readonly string[];
  /** Whether a graph is such a network; of several graphs it is the first. */
  matches(facts: OnnxFacts): boolean;
}

const inputs = (facts: OnnxFacts, ...names: readonly string[]) =>
  names.every((name) => facts.inputs.some((input) => input.name === name));

/** Whether the graph takes one image, float32 [n, 3, h, w], and nothing else. */
function takesImage({ inputs: [only, ...more] }: OnnxFacts): boolean {
  return only !== undefined && more.length === 0 && isImage(only, 3);
}

function isImage({ shape }: OnnxValue, channels: number): boolean {
  const [, own] = shape;
  return shape.length === 4 && (typeof own !== 'number' || own === channels);
}

/** Whether the graph makes one image of images of any size. */
function givesImage({ inputs: [image], outputs: [only, ...more] }: OnnxFacts): boolean {
  const isOfAnySize = (value: OnnxValue | undefined) =>
    value !== undefined && value.shape.slice(2).every((side) => typeof side !== 'number');
  return (
    only !== undefined && more.length === 0 && isImage(only, 3) && isOfAnySize(only) && isOfAnySize(image)
  );
}

/** U²-Net's side outputs: d0 … d6, one channel each. */
function givesSideOutputs({ outputs }: OnnxFacts, channels: number): boolean {
  return outputs.length >= 6 && outputs.every((output) => isImage(output, channels));
}

/** Pixels on a side of the faces that restoring networks take and give. */
const FACE_SIDE = 512;

/** Whether the graph makes a face of a face; a second input says how faithfully. */
function restoresFaces({ inputs: [image, ...more], outputs: [restored] }: OnnxFacts, extraInputs: number) {
  const isFace = (value: OnnxValue | undefined) =>
    value !== undefined && isImage(value, 3) && value.shape[2] === FACE_SIDE && value.shape[3] === FACE_SIDE;
  return isFace(image) && isFace(restored) && more.length === extraInputs;
}

/** Whether the graph takes one square image in color, float32 [n, side, side, 3], as TensorFlow has them. */
function takesSquare({ inputs: [only, ...more] }: OnnxFacts): boolean {
  const [, height, width, channels] = only?.shape ?? [];
  return more.length === 0 && typeof height === 'number' && height === width && channels === 3;
}

/** A text generator whose graph has this name. */
function textGenerator(graph: string): OnnxKind {
  return {
    kind: 'prompt-expansion',
    network: 'text-generation',
    title: 'Prompt expansion (a text generator, such as GPT-2)',
    graphs: [graph],
    prefersQuantised: true,
    needs: ['config.json', 'tokenizer.json'],
    extras: ['generation_config.json', 'tokenizer_config.json', 'positive.txt'],
    matches: (facts) =>
      inputs(facts, 'input_ids') &&
      !inputs(facts, 'encoder_hidden_states') &&
      facts.outputs.some(({ name }) => name.startsWith('present')),
  };
}

const PREPROCESSOR = ['preprocessor_config.json'];

const CAPTIONER_NEEDS = ['config.json', 'tokenizer.json'];
const CAPTIONER_EXTRAS = ['generation_config.json', 'tokenizer_config.json', ...PREPROCESSOR];

/** A network that finds what words name; its graph takes an image, token ids and further inputs, and gives rectangles. */
function wordFinder(network: string, title: string, ...further: readonly string[]): OnnxKind {
  return {
    kind: 'finder',
    network,
    title,
    graphs: ['model'],
    prefersQuantised: true,
    needs: ['tokenizer.json'],
    extras: ['tokenizer_config.json', ...PREPROCESSOR],
    matches: (facts) =>
      inputs(facts, 'pixel_values', 'input_ids', ...further) &&
      ['logits', 'pred_boxes'].every((name) => facts.outputs.some((output) => output.name === name)),
  };
}

/**
 * Every kind of network that is recognised, the most particular first. Names of inputs and outputs are those of the usual
 * exports: rembg's releases, and the repositories of the hub in the layout of transformers.js.
 */
export const ONNX_KINDS: readonly OnnxKind[] = [
  {
    kind: 'tagger',
    network: 'wd-tagger',
    title: 'Tagger (WD14)',
    needs: ['selected_tags.csv'],
    matches: takesSquare,
  },
  {
    kind: 'tagger',
    network: 'deepdanbooru',
    title: 'Tagger (DeepDanbooru)',
    needs: ['tags.txt'],
    matches: takesSquare,
  },
  {
    kind: 'captioner',
    network: 'florence2',
    title: 'Caption model (Florence-2)',
    graphs: ['vision_encoder', 'embed_tokens', 'encoder_model', 'decoder_model_merged'],
    prefersQuantised: true,
    needs: CAPTIONER_NEEDS,
    extras: CAPTIONER_EXTRAS,
    matches: (facts) => inputs(facts, 'pixel_values'),
  },
  {
    kind: 'captioner',
    network: 'vision-encoder-decoder',
    title: 'Caption model (an image encoder and a text decoder, such as ViT-GPT2)',
    graphs: ['encoder_model', 'decoder_model_merged'],
    prefersQuantised: true,
    needs: CAPTIONER_NEEDS,
    extras: CAPTIONER_EXTRAS,
    matches: (facts) =>
      inputs(facts, 'pixel_values') && facts.outputs.some(({ name }) => name === 'last_hidden_state'),
  },
  // Exports of today are one graph with a memory; older ones have it merged from two, or none.
  ...['decoder_model_merged', 'model', 'decoder_model'].map(textGenerator),
  wordFinder('grounding-dino', 'Finder of what words name (Grounding DINO)', 'pixel_mask'),
  wordFinder('owlvit', 'Finder of what words name (OWL-ViT)', 'attention_mask'),
  {
    kind: 'finder',
    network: 'sam',
    title: 'Segment Anything',
    graphs: ['vision_encoder', 'prompt_encoder_mask_decoder'],
    extras: PREPROCESSOR,
    matches: (facts) => inputs(facts, 'pixel_values'),
  },
  {
    kind: 'finder',
    network: 'isnet-anime',
    title: 'Salient object network (IS-Net for anime)',
    matches: (facts) =>
      takesImage(facts) && /isnet|is-net/.test(facts.title) && facts.title.includes('anime'),
  },
  {
    kind: 'finder',
    network: 'isnet',
    title: 'Salient object network (IS-Net)',
    extras: PREPROCESSOR,
    matches: (facts) => takesImage(facts) && /isnet|is-net|rmbg|birefnet/.test(facts.title),
  },
  {
    kind: 'finder',
    network: 'u2net',
    title: 'Salient object network (U²-Net)',
    extras: PREPROCESSOR,
    matches: (facts) =>
      takesImage(facts) &&
      !facts.title.includes('cloth') &&
      (/u2-?net|silueta/.test(facts.title) || givesSideOutputs(facts, 1)),
  },
  {
    kind: 'preprocessor',
    network: 'midas',
    title: 'Depth network (MiDaS)',
    extras: PREPROCESSOR,
    matches: (facts) => takesImage(facts) && /midas|dpt/.test(facts.title),
  },
  {
    kind: 'preprocessor',
    network: 'depth-anything',
    title: 'Depth network (Depth Anything)',
    extras: PREPROCESSOR,
    matches: (facts) =>
      takesImage(facts) &&
      (facts.title.includes('depth') || facts.outputs.some(({ name }) => name === 'predicted_depth')),
  },
  {
    kind: 'face-restorer',
    network: 'codeformer',
    title: 'Face restoration (CodeFormer)',
    matches: (facts) => restoresFaces(facts, 1),
  },
  {
    kind: 'face-restorer',
    network: 'gfpgan',
    title: 'Face restoration (GFPGAN)',
    matches: (facts) => restoresFaces(facts, 0),
  },
  {
    kind: 'upscaler',
    network: 'onnx-upscaler',
    title: 'Upscaler',
    matches: (facts) => takesImage(facts) && givesImage(facts),
  },
];
