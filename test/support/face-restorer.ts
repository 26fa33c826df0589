import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as OnnxProto from 'onnx-proto';
import { packs } from '#library/packs/index.ts';
import { INCLUDED } from '#protocol/included.ts';
import type { AddOnPack, AnyPack } from '#protocol/model.ts';
import type { FilledPack } from './tiny-packs.ts';

// Node does not see the names this CommonJS module exports.
const { onnx } = createRequire(import.meta.url)('onnx-proto') as typeof OnnxProto;
const { FLOAT, DOUBLE } = onnx.TensorProto.DataType;

const FACE = [1, 3, 512, 512];

function valueInfo(name: string, elemType: number, sides: readonly number[]) {
  return {
    name,
    type: { tensorType: { elemType, shape: { dim: sides.map((dimValue) => ({ dimValue })) } } },
  };
}

function graphFile(graph: OnnxProto.onnx.IGraphProto): File {
  const bytes = onnx.ModelProto.encode({
    irVersion: 8,
    producerName: 'pytorch',
    opsetImport: [{ domain: '', version: 17 }],
    graph: { name: 'main_graph', ...graph },
  }).finish();
  return new File([Uint8Array.from(bytes)], `${graph.name ?? 'face'}.onnx`);
}

/** A file with GFPGAN's input and output, whose restored face is the face in inverted colours. */
export function invertingRestorer(): File {
  return graphFile({
    name: 'gfpgan-1.4',
    node: [{ opType: 'Neg', input: ['input'], output: ['output'] }],
    input: [valueInfo('input', FLOAT, FACE)],
    output: [valueInfo('output', FLOAT, FACE)],
  });
}

/** A file with CodeFormer's inputs and outputs, whose restored face is the face times its weight around grey. */
export function weighingRestorer(): File {
  return graphFile({
    name: 'codeformer',
    node: [
      {
        opType: 'Cast',
        input: ['weight'],
        output: ['factor'],
        attribute: [{ name: 'to', type: onnx.AttributeProto.AttributeType.INT, i: FLOAT }],
      },
      { opType: 'Mul', input: ['input', 'factor'], output: ['output'] },
      { opType: 'Identity', input: ['factor'], output: ['logits'] },
    ],
    input: [valueInfo('input', FLOAT, FACE), valueInfo('weight', DOUBLE, [1])],
    output: [valueInfo('output', FLOAT, FACE), valueInfo('logits', FLOAT, [1])],
  });
}

/** The network that comes with the app and finds faces. */
export function faceFinder(): FilledPack<AddOnPack> {
  const pack = Object.values<AnyPack>(packs).find(({ id }) => id === INCLUDED.faces.id);
  if (pack?.kind !== 'finder') throw new Error('It does not come with the app.');
  const fileOf = (path: string) =>
    new Blob([readFileSync(new URL(`../../public/models/faces/${path}`, import.meta.url))]);
  return { pack, files: Object.fromEntries(pack.files.map(({ path }) => [path, fileOf(path)])) };
}

/** A portrait of 192 × 192 pixels, and one of two faces: NASA's of Eileen Collins. */
export const facePhoto = (name: 'photo' | 'two-faces') =>
  new Blob([readFileSync(new URL(`../fixtures/small-networks/face-detector/${name}.png`, import.meta.url))]);

/** A restorer's file as an installed pack. */
export function restorerPack(id: string, title: string, file: File): FilledPack<AddOnPack> {
  const pack: AddOnPack = {
    ...faceFinder().pack,
    kind: 'face-restorer',
    id,
    title,
    url: null,
    files: [{ path: 'model.onnx', sizeBytes: file.size, sha256: null }],
  };
  return { pack, files: { 'model.onnx': file } };
}
