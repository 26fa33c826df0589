import type { Tokenizer } from '@huggingface/tokenizers';
import type { TensorValue } from '#engine/runtime/runtime.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { readHubTokenizer } from '#engine/tokenizers/hub.ts';
import { overlap, type Box } from '#imaging/masks/box.ts';
import { filled, paste } from '#imaging/pillow/paste.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { TextFinder } from '#protocol/finder.ts';
import type { AddOnPack, ConfigFile } from '#protocol/model.ts';
import { IMAGENET, namedSize, toInput } from './image-network.ts';
import { readImageProcessor, sizeFor, type ImageProcessor } from './image-processor.ts';
import { openVisionNetwork } from './open-network.ts';
import { sigmoid } from './sigmoid.ts';

/** A thing that words name. */
export interface NamedThing {
  /** In pixels of the image; may reach beyond it. */
  box: Box;
  /** 0 … 1: how certain it is, as Grounding DINO would rate it. */
  score: number;
}

/** What networks of a make want, where their configuration does not say it. */
interface WordNetwork {
  image: ImageProcessor;
  /** Its usual threshold in parts of Grounding DINO's. */
  certainty: number;
  /** Token ids of the queries, one row for each. */
  encode(tokenizer: Tokenizer, text: string): number[][];
}

const NETWORKS: Readonly<Record<string, WordNetwork>> = {
  /** All words in one query, each thing ends with a full stop. Source: GroundingDINO, util/inference.py, `preprocess_caption`. */
  'grounding-dino': {
    image: { ...IMAGENET, size: { shortest: 800, longest: 1333 }, filter: 'bilinear' },
    certainty: 1,
    encode(tokenizer, text) {
      const caption = text.trim().toLowerCase();
      return [encode(tokenizer, caption.endsWith('.') ? caption : `${caption}.`, 256)];
    },
  },
  /** A query for each thing. Source: transformers, models/owlvit/processing_owlvit.py, and google/owlvit-base-patch32. */
  owlvit: {
    image: {
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
      size: { width: 768, height: 768 },
      filter: 'bicubic',
    },
    certainty: 1 / 3,
    encode: (tokenizer, text) =>
      text
        .split('.')
        .map((thing) => thing.trim())
        .filter((thing) => thing !== '')
        .map((thing) => encode(tokenizer, thing, 16)),
  },
};

/** Rectangles that share more than this are around the same thing. */
const SAME_THING = 0.7;

/** What OWLv2 sees beside an image that is not square: in the middle of 0 … 1. */
const GREY = 128;

/**
 * Looks for what words name, by an imported Grounding DINO or OWL-ViT. Source: transformers,
 * models/grounding_dino/processing_grounding_dino.py, `post_process_grounded_object_detection`, and
 * models/owlvit/image_processing_owlvit.py, `post_process_object_detection`.
 * @param rgb of any size
 * @returns the most certain first
 * @throws AppError `unsupported_feature` for a network of another make, `model_not_found` where its tokenizer is missing,
 *   `integrity_failed` for a damaged one, and what the runtime throws
 */
export async function findNamed(
  run: RunContext,
  pack: AddOnPack,
  rgb: Pixels,
  { text, threshold }: Pick<TextFinder, 'text' | 'threshold'>,
): Promise<NamedThing[]> {
  const network = NETWORKS[pack.network ?? ''];
  if (!network) throw misfit(pack);
  const files = run.addOns.files(pack);
  const config = await files.findJson('preprocessor_config.json');
  const processor = readImageProcessor(config, network.image);
  const queries = network.encode(await readHubTokenizer(pack, files), text);
  if (queries.length === 0) return [];
  const session = await openVisionNetwork(run, pack);
  const seen = seesSquare(config) ? padToSquare(rgb) : rgb;
  const size = namedSize(session, 'pixel_values') ?? sizeFor(seen, processor.size);
  const { data } = toInput(resize(seen, size, processor.filter), processor);
  const [, named] = session.inputDims('input_ids');
  const length = typeof named === 'number' ? named : Math.max(...queries.map((ids) => ids.length));
  const inputs: Record<string, TensorValue> = {
    pixel_values: { type: 'float32', data, dims: [1, 3, size.height, size.width] },
    pixel_mask: {
      type: 'int64',
      data: new BigInt64Array(size.height * size.width).fill(1n),
      dims: [1, size.height, size.width],
    },
    input_ids: table(queries.length, length, (row, index) => queries[row]?.[index] ?? 0),
    attention_mask: table(queries.length, length, (row, index) =>
      index < (queries[row]?.length ?? 0) ? 1 : 0,
    ),
    token_type_ids: table(queries.length, length, () => 0),
  };
  const given = Object.entries(inputs).filter(([name]) => session.inputNames.includes(name));
  const { logits, pred_boxes: boxes } = await session.run(Object.fromEntries(given));
  const count = (boxes?.data.length ?? 0) / 4;
  if (!logits || !boxes || count === 0 || logits.data.length % count !== 0) throw misfit(pack);
  const width = logits.data.length / count;
  const things = Array.from({ length: count }, (_, index) => ({
    score: Math.min(
      1,
      sigmoid(logits.data.subarray(index * width, (index + 1) * width).reduce((a, b) => Math.max(a, b))) /
        network.certainty,
    ),
    box: toBox(boxes.data.subarray(index * 4, index * 4 + 4), seen),
  }));
  return withoutDoubles(things.filter(({ score }) => score > threshold));
}

/**
 * Of things in nearly the same rectangle the most certain one: OWL-ViT finds a thing from each of its patches. Source of the
 * share: Ultralytics, the default `iou` of predictions, which ADetailer's YOLO-World has.
 * @returns the most certain first
 */
export function withoutDoubles(things: readonly NamedThing[]): NamedThing[] {
  const kept: NamedThing[] = [];
  for (const thing of things.toSorted((a, b) => b.score - a.score)) {
    if (kept.every(({ box }) => overlap(box, thing.box) <= SAME_THING)) kept.push(thing);
  }
  return kept;
}

/** The ids of a text, its end among them where it has to be cut. */
function encode(tokenizer: Tokenizer, text: string, most: number): number[] {
  const { ids } = tokenizer.encode(text);
  return ids.length <= most ? ids : [...ids.slice(0, most - 1), ...ids.slice(-1)];
}

/** Whether it is an OWLv2, which sees images in the upper left corner of a square. */
function seesSquare(config: ConfigFile | undefined): boolean {
  const type = config?.['image_processor_type'] ?? config?.['feature_extractor_type'];
  return typeof type === 'string' && type.startsWith('Owlv2');
}

function padToSquare(rgb: Pixels): Pixels {
  const side = Math.max(rgb.width, rgb.height);
  return paste(filled({ width: side, height: side }, [GREY, GREY, GREY]), rgb, { x: 0, y: 0 });
}

/** From middle and size in parts of the image. */
function toBox(
  [x = 0, y = 0, across = 0, down = 0]: Float32Array,
  { width, height }: { width: number; height: number },
): Box {
  return {
    left: (x - across / 2) * width,
    top: (y - down / 2) * height,
    right: (x + across / 2) * width,
    bottom: (y + down / 2) * height,
  };
}

/** A table of whole numbers. */
function table(rows: number, columns: number, valueOf: (row: number, column: number) => number): TensorValue {
  const data = BigInt64Array.from({ length: rows * columns }, (_, i) =>
    BigInt(valueOf(Math.floor(i / columns), i % columns)),
  );
  return { type: 'int64', data, dims: [rows, columns] };
}

function misfit({ id, title }: AddOnPack): AppError {
  return new AppError(
    'unsupported_feature',
    `${title} does not find what words name. Choose a Grounding DINO or an OWL-ViT.`,
    { detail: { model: id } },
  );
}
