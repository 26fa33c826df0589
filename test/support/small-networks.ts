import { decodeImage } from '#codecs/decode-image.ts';
import { createDevice } from '#engine/models/device.ts';
import { createModels } from '#engine/models/models.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { FloatTensor, Runtime, Session } from '#engine/runtime/runtime.ts';
import { createRunContext, type RunContext } from '#engine/stages/run/context.ts';
import {
  decodeFaces,
  FULL_RANGE,
  joinFaces,
  SHORT_RANGE,
  type FaceAnchors,
} from '#engine/vision/decode-faces.ts';
import { packs } from '#library/packs/index.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { AnyPack } from '#protocol/model.ts';

/** The networks that come with the app, by the names of their references, with the files they are in. */
export const SMALL_NETWORKS = {
  'nsfw-mobilenet-v2': 'nsfw-mobilenet-v2/model.onnx',
  pose: 'pose/model.onnx',
  'person-mask': 'person-mask/model.onnx',
  'face-detector': 'faces/face-detector.onnx',
  'face-refine': 'faces/face-refine.onnx',
  'anime4k-2x': 'anime4k-2x/model.onnx',
  'websr-2x-photo': 'websr-2x-photo/model.onnx',
  'esrgan-slim-2x': 'esrgan-slim-2x/model.onnx',
  'esrgan-slim-4x': 'esrgan-slim-4x/model.onnx',
  'esrgan-medium-4x': 'esrgan-medium-4x/model.onnx',
} as const;
export type SmallNetwork = keyof typeof SMALL_NETWORKS;

/** Those that find faces. */
export const FACE_ANCHORS: { readonly [Name in SmallNetwork]?: FaceAnchors } = {
  'face-detector': FULL_RANGE,
  'face-refine': SHORT_RANGE,
};

/** What the original of a network gave for some images; test/fixtures/README.md says where they are from. */
export interface SmallNetworkReference {
  /** Largest difference of each output. */
  tolerance: Readonly<Record<string, number>>;
  cases: readonly SmallNetworkCase[];
}

interface SmallNetworkCase {
  /** An image; each of its pixels counts so often across and down. */
  file: string;
  repeat: number;
  /** Every `stride`th number of an output. */
  outputs: Readonly<Record<string, { shape: readonly number[]; stride: number; values: readonly number[] }>>;
  /** Of face detectors: what is left once each face is there once, in 0 … 1 of the square. */
  detections?: readonly { score: number; box: readonly number[]; points: readonly (readonly number[])[] }[];
  /** The output as an image, and so many pixels of its edges that are not compared. */
  output?: { file: string; crop: number };
}

/** An image of a case, RGB. */
export async function readCaseImage(file: Blob | undefined, repeat: number): Promise<Pixels> {
  if (!file) throw new Error('There is no such image.');
  const { width, height, data } = await decodeImage(file);
  const pixels: Pixels = {
    width: width * repeat,
    height: height * repeat,
    channels: 3,
    data: new Uint8ClampedArray(width * height * repeat * repeat * 3),
  };
  for (let i = 0; i < pixels.data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % pixels.width, Math.floor(i / 3 / pixels.width)];
    pixels.data[i] = data[(Math.floor(y / repeat) * width + Math.floor(x / repeat)) * 4 + (i % 3)] ?? 0;
  }
  return pixels;
}

/** An image as these networks take it. */
function imageInput({ width, height, data }: Pixels) {
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let i = 0; i < planes.length; i++)
    planes[i] = (data[(i % area) * 3 + Math.floor(i / area)] ?? 0) / 255;
  return { type: 'float32', data: planes, dims: [1, 3, height, width] } as const;
}

/** What a case gives on a runtime, beside what it should. */
interface CaseResult {
  /** The largest difference of each output, and of the image and the faces that it is. */
  differences: Record<string, number>;
  faces: number;
}

/** Runs a network on the image of a case. @param readFile of the folder with the network's references */
export async function runCase(
  session: Session,
  reference: SmallNetworkCase,
  readFile: ReadFile,
  anchors: FaceAnchors | undefined,
): Promise<CaseResult> {
  const image = await readCaseImage(await readFile(reference.file), reference.repeat);
  const outputs = await session.run({ image: imageInput(image) });
  const differences: Record<string, number> = {};
  for (const [name, { stride, values }] of Object.entries(reference.outputs)) {
    const data = outputs[name]?.data;
    differences[name] = largest(values.map((value, i) => value - (data?.[i * stride] ?? Number.NaN)));
  }
  const [first] = Object.values(outputs);
  if (reference.output && first) {
    const file = await readFile(reference.output.file);
    differences['output_png'] = await differenceFromImage(first, file, reference.output.crop);
  }
  const { boxes, logits } = outputs;
  const faces =
    anchors && boxes && logits ? joinFaces(decodeFaces(boxes.data, logits.data, anchors, 0.5)) : [];
  const numbers = faces.flatMap(({ score, box, points }) => [
    score,
    ...[box.left, box.top, box.right, box.bottom],
    ...points.flatMap(({ x, y }) => [x, y]),
  ]);
  const expected = (reference.detections ?? []).flatMap(({ score, box, points }) => [
    score,
    ...box,
    ...points.flat(),
  ]);
  if (anchors)
    differences['detections'] = largest(expected.map((value, i) => value - (numbers[i] ?? Number.NaN)));
  return { differences, faces: faces.length };
}

function largest(differences: readonly number[]): number {
  return differences.reduce(
    (most, difference) => (Math.abs(difference) <= most ? most : Math.abs(difference)),
    0,
  );
}

/** The largest difference between planes in 0 … 1 and an image file, without its edges. */
async function differenceFromImage(
  { data, dims }: FloatTensor,
  file: Blob | undefined,
  crop: number,
): Promise<number> {
  const [channels = 0, height = 0, width = 0] = dims.slice(1);
  const expected = await readCaseImage(file, 1);
  if (expected.width !== width || expected.height !== height) throw new Error('The sizes differ.');
  const differences: number[] = [];
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [i % width, Math.floor(i / width) % height];
    if (x < crop || y < crop || x >= width - crop || y >= height - crop) continue;
    const channel = channels === 1 ? 0 : Math.floor(i / (width * height));
    differences.push((expected.data[(y * width + x) * 3 + channel] ?? 0) / 255 - (data[i] ?? Number.NaN));
  }
  return largest(differences);
}

/** A run with what comes with the app installed. */
export function runWithIncluded(
  runtime: Runtime,
  readIncluded: (path: string) => ReturnType<ReadFile>,
): RunContext {
  const filesOf =
    (pack: AnyPack): ReadFile =>
    (path) =>
      readIncluded(`${pack.id}/${path}`);
  return createRunContext(
    createDevice(runtime, createModels(runtime, filesOf)),
    { task: 'find-mask', image: new Blob(), finder: { kind: 'faces' } },
    Object.values(packs),
    filesOf,
    { cancelled: false, skipped: false },
    () => undefined,
  );
}
