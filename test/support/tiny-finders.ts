import type { AddOnKind, AddOnPack } from '#protocol/model.ts';
import { onnxGraph } from './tiny-onnx.ts';
import type { FilledPack } from './tiny-packs.ts';

/* Networks as people import them, with their usual inputs and outputs, and results that are known. */

/** A U²-Net that takes for salient what is light: the lightest channel of each pixel. */
export const tinyU2net = (): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: { 'input.1': [1, 3, 32, 32] },
    outputs: { '1959': [1, 1, 32, 32] },
    nodes: [{ op: 'ReduceMax', inputs: ['input.1'], outputs: ['1959'], ints: { axes: [1], keepdims: 1 } }],
  });

/** A depth network in transformers' form that takes light for near. */
export const tinyDepth = (): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: { pixel_values: ['batch_size', 3, 'height', 'width'] },
    outputs: { predicted_depth: ['batch_size', 'height', 'width'] },
    nodes: [
      {
        op: 'ReduceMean',
        inputs: ['pixel_values'],
        outputs: ['predicted_depth'],
        ints: { axes: [1], keepdims: 0 },
      },
    ],
  });

/** The image encoder of a Segment Anything: the image at a quarter of its size. */
export const tinySamEncoder = (): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: { pixel_values: ['batch_size', 3, 1024, 1024] },
    outputs: {
      image_embeddings: ['batch_size', 3, 256, 256],
      image_positional_embeddings: ['batch_size', 3, 256, 256],
    },
    nodes: [
      {
        op: 'AveragePool',
        inputs: ['pixel_values'],
        outputs: ['image_embeddings'],
        ints: { kernel_shape: [4, 4], strides: [4, 4] },
      },
      { op: 'Identity', inputs: ['image_embeddings'], outputs: ['image_positional_embeddings'] },
    ],
  });

/**
 * Its decoder: three masks, of what is red, green and blue; of what is not, if the points are not wanted. The better a point
 * suits the green one, the further right it is.
 */
export const tinySamDecoder = (): Uint8Array<ArrayBuffer> =>
  onnxGraph({
    inputs: {
      input_points: ['batch_size', 1, 'points', 2],
      input_labels: ['batch_size', 1, 'points'],
      image_embeddings: ['batch_size', 3, 256, 256],
      image_positional_embeddings: ['batch_size', 3, 256, 256],
    },
    wholeInputs: ['input_labels'],
    outputs: {
      iou_scores: ['batch_size', 1, 3],
      pred_masks: ['batch_size', 1, 3, 256, 256],
    },
    constants: {
      two: { dims: [1], values: [2] },
      one: { dims: [1], values: [1] },
      shape: { dims: [5], values: [1, 1, 3, 256, 256], whole: true },
      scoreShape: { dims: [3], values: [1, 1, 3], whole: true },
      xs: { dims: [1], values: [0], whole: true },
      // Of the mean x: none for red, a part for green; blue is as good as green in the middle.
      parts: { dims: [3], values: [0, 1 / 1024, 0] },
      scores: { dims: [3], values: [0.1, 0, 0.5] },
    },
    nodes: [
      { op: 'Cast', inputs: ['input_labels'], outputs: ['labels'], ints: { to: 1 } },
      { op: 'ReduceMean', inputs: ['labels'], outputs: ['wanted'], ints: { keepdims: 0 } },
      { op: 'Mul', inputs: ['wanted', 'two'], outputs: ['doubled'] },
      { op: 'Sub', inputs: ['doubled', 'one'], outputs: ['sign'] },
      { op: 'Mul', inputs: ['image_embeddings', 'sign'], outputs: ['signed'] },
      { op: 'Reshape', inputs: ['signed', 'shape'], outputs: ['pred_masks'] },
      {
        op: 'ReduceMean',
        inputs: ['input_points'],
        outputs: ['point'],
        ints: { axes: [0, 1, 2], keepdims: 0 },
      },
      { op: 'Gather', inputs: ['point', 'xs'], outputs: ['x'] },
      { op: 'Mul', inputs: ['x', 'parts'], outputs: ['weighted'] },
      { op: 'Add', inputs: ['weighted', 'scores'], outputs: ['flat'] },
      { op: 'Reshape', inputs: ['flat', 'scoreShape'], outputs: ['iou_scores'] },
    ],
  });

/** An installed network. */
export function networkPack(
  kind: AddOnKind,
  id: string,
  network: string,
  files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
): FilledPack<AddOnPack> {
  return {
    files: Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, new Blob([bytes])])),
    pack: {
      id,
      title: id,
      description: '',
      kind,
      network,
      family: null,
      url: null,
      licence: { name: 'unknown' },
      credits: '',
      files: Object.entries(files).map(([path, { length }]) => ({ path, sizeBytes: length, sha256: null })),
    },
  };
}

export const u2netPack = () => networkPack('finder', 'u2net', 'u2net', { 'model.onnx': tinyU2net() });

export const depthPack = () =>
  networkPack('preprocessor', 'depth-anything-v2-small', 'depth-anything', { 'model.onnx': tinyDepth() });

export const samPack = () =>
  networkPack('finder', 'slimsam', 'sam', {
    'vision_encoder.onnx': tinySamEncoder(),
    'prompt_encoder_mask_decoder.onnx': tinySamDecoder(),
  });
