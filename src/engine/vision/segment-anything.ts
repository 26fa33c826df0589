import { packKey } from '#engine/models/add-ons.ts';
import type { FloatTensor, TensorValue } from '#engine/runtime/runtime.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { boxMask, growBox, overlap, type Box } from '#imaging/masks/box.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import { AppError } from '#protocol/error.ts';
import type { FinderPoint } from '#protocol/finder.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { IMAGENET, toInput } from './image-network.ts';
import { openVisionNetwork } from './open-network.ts';

/** The longer side of what the network looks at. */
const SIDE = 1024;

const DECODER = 'prompt_encoder_mask_decoder.onnx';

/** The label of points that the network leaves out. Source: transformers, models/sam/modeling_sam.py, `_embed_points`. */
const LEFT_OUT = -10n;

/** A mask, and how well the network thinks it fits, 0 … 1. */
export interface Segment {
  /** Grey, as large as the image: 255 or 0. */
  mask: Pixels;
  score: number;
}

/** What the decoder is asked, and which of its masks is the answer. */
interface Question {
  /** @param scale from pixels of the image to those of the network */
  inputs: (scale: number) => Record<string, TensorValue>;
  /** @param masks logits for the whole square, a quarter of its side */
  choose: (scores: Float32Array, masks: FloatTensor, scale: number) => number;
}

/**
 * What is at some points of an image, by an imported Segment Anything in two graphs, as the hub has them in the layout of
 * transformers.js: of its three answers the one it likes most. Source: transformers, models/sam/image_processing_sam.py.
 * @throws AppError `unsupported_feature` for graphs of another form, and what the runtime throws
 */
export async function segmentAt(
  run: RunContext,
  pack: AddOnPack,
  rgb: Pixels,
  points: readonly FinderPoint[],
): Promise<Segment> {
  return segment(run, pack, rgb, { inputs: (scale) => pointInputs(points, scale), choose: likedMost });
}

/**
 * What a rectangle of an image is around. Most graphs of the hub know nothing of rectangles (transformers exports points with the
 * labels 0 and 1 alone): they are asked what is at its middle, and the answer is the one whose extent is most like the rectangle.
 * What of it lies outside the rectangle does not count.
 * @throws AppError as {@link segmentAt}
 */
export async function segmentBox(run: RunContext, pack: AddOnPack, rgb: Pixels, box: Box): Promise<Segment> {
  const decoder = await openVisionNetwork(run, pack, DECODER);
  if (decoder.inputNames.includes('input_boxes'))
    return segment(run, pack, rgb, { inputs: (scale) => boxInputs(box, scale), choose: likedMost });
  const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, isWanted: true };
  const { mask, score } = await segment(run, pack, rgb, {
    inputs: (scale) => pointInputs([middle], scale),
    choose: (_, masks, scale) => likest(masks, box, scale),
  });
  const inside = boxMask(rgb, box).data;
  return { mask: { ...mask, data: mask.data.map((sample, i) => Math.min(sample, inside[i] ?? 0)) }, score };
}

async function segment(
  run: RunContext,
  pack: AddOnPack,
  rgb: Pixels,
  { inputs, choose }: Question,
): Promise<Segment> {
  const scale = SIDE / Math.max(rgb.width, rgb.height);
  const scaled = { width: Math.round(rgb.width * scale), height: Math.round(rgb.height * scale) };
  // Who clicks at an image clicks again, and the encoder takes nearly all of the time.
  const embeddings = await run.vision.recall(`${packKey(pack)} ${await hashPixels(rgb)}`, async () => {
    const encoder = await openVisionNetwork(run, pack, 'vision_encoder.onnx');
    const image = padToSquare(toInput(resize(rgb, scaled, 'bilinear'), IMAGENET));
    return encoder.run({ pixel_values: { type: 'float32', data: image.data, dims: [1, 3, SIDE, SIDE] } });
  });
  const decoder = await openVisionNetwork(run, pack, DECODER);
  const asked = Object.entries(inputs(scale)).filter(([name]) => decoder.inputNames.includes(name));
  const { iou_scores: scores, pred_masks: masks } = await decoder.run({
    ...Object.fromEntries(asked),
    ...given(embeddings, pack),
  });
  if (!scores || !masks || masks.data.length % scores.data.length !== 0) throw noSegmenter(pack);
  const best = choose(scores.data, masks, scale);
  return { mask: toMask(planeOf(masks, best, pack), scaled, rgb), score: scores.data[best] ?? 0 };
}

function pointInputs(points: readonly FinderPoint[], scale: number): Record<string, TensorValue> {
  const places = Float32Array.from(points.flatMap(({ x, y }) => [x * scale, y * scale]));
  const labels = BigInt64Array.from(points.map(({ isWanted }) => (isWanted ? 1n : 0n)));
  return {
    input_points: { type: 'float32', data: places, dims: [1, 1, points.length, 2] },
    input_labels: { type: 'int64', data: labels, dims: [1, 1, points.length] },
  };
}

/** A rectangle; beside it a point that the network leaves out, where its graph wants points as well. */
function boxInputs({ left, top, right, bottom }: Box, scale: number): Record<string, TensorValue> {
  const corners = Float32Array.from([left, top, right, bottom], (side) => side * scale);
  return {
    input_boxes: { type: 'float32', data: corners, dims: [1, 1, 4] },
    input_points: { type: 'float32', data: new Float32Array(2), dims: [1, 1, 1, 2] },
    input_labels: { type: 'int64', data: BigInt64Array.of(LEFT_OUT), dims: [1, 1, 1] },
  };
}

function likedMost(scores: Float32Array): number {
  return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)));
}

/** The mask whose extent shares most with a rectangle of the image. */
function likest({ data, dims }: FloatTensor, box: Box, scale: number): number {
  const [height = 1, width = 1] = dims.slice(-2);
  const shared = Array.from({ length: data.length / (height * width) }, (_, index) => {
    const extent = { left: width, top: height, right: 0, bottom: 0 };
    data.subarray(index * height * width, (index + 1) * height * width).forEach((logit, i) => {
      if (logit > 0) growBox(extent, i % width, Math.floor(i / width));
    });
    const toSquare = SIDE / width;
    return extent.right === 0 ? 0 : overlap(scaleBox(extent, toSquare), scaleBox(box, scale));
  });
  return shared.indexOf(Math.max(...shared));
}

function scaleBox({ left, top, right, bottom }: Box, factor: number): Box {
  return { left: left * factor, top: top * factor, right: right * factor, bottom: bottom * factor };
}

/** The same for the same samples in an image of the same size. */
async function hashPixels({ width, height, data }: Pixels): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', data);
  return [width, height, ...new Uint8Array(digest)].join();
}

const EMBEDDINGS = ['image_embeddings', 'image_positional_embeddings'] as const;

function given(outputs: Readonly<Record<string, FloatTensor>>, pack: AddOnPack) {
  return Object.fromEntries(
    EMBEDDINGS.map((name) => {
      const found = outputs[name];
      if (!found) throw noSegmenter(pack);
      return [name, { type: 'float32', ...found } as const];
    }),
  );
}

/** The image in the upper left corner of a square of zeros. */
function padToSquare(image: Planes): Planes & { data: Float32Array<ArrayBuffer> } {
  const square = createPlanes({ channels: 3, height: SIDE, width: SIDE });
  for (let row = 0; row < 3 * image.height; row++) {
    const [channel, y] = [Math.floor(row / image.height), row % image.height];
    square.data.set(
      image.data.subarray(row * image.width, (row + 1) * image.width),
      (channel * SIDE + y) * SIDE,
    );
  }
  return square;
}

function planeOf({ data, dims }: FloatTensor, index: number, pack: AddOnPack): Planes {
  const [height, width] = dims.slice(-2);
  if (height === undefined || width === undefined) throw noSegmenter(pack);
  return {
    channels: 1,
    height,
    width,
    data: data.slice(index * height * width, (index + 1) * height * width),
  };
}

/** The network's answer for the square, as a mask of the image: what is above 0 belongs to it. */
function toMask(
  logits: Planes,
  scaled: { width: number; height: number },
  { width, height }: Pixels,
): Pixels {
  const bilinear = { mode: 'bilinear', antialias: false } as const;
  const square = interpolate(logits, { width: SIDE, height: SIDE }, bilinear);
  const cut = createPlanes({ channels: 1, ...scaled });
  for (let y = 0; y < scaled.height; y++) {
    cut.data.set(square.data.subarray(y * SIDE, y * SIDE + scaled.width), y * scaled.width);
  }
  const mask = createPixels({ width, height }, 1);
  interpolate(cut, { width, height }, bilinear).data.forEach(
    (value, i) => (mask.data[i] = value > 0 ? 255 : 0),
  );
  return mask;
}

function noSegmenter(pack: AddOnPack): AppError {
  return new AppError(
    'unsupported_feature',
    `${pack.title} does not answer as Segment Anything does. Choose another one.`,
    { detail: { model: pack.id } },
  );
}
