/**
 * One step of a graph in a process of its own, for run.ts: ONNX Runtime's wasm build without any of its optimisations, or
 * the native onnxruntime-node named as the last argument, as it is. Both read graph and weights from a folder.
 *
 * Arguments: folder, the weights' path in it, cells a side, optionally the native module. Writes `output.f32` there.
 */
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import { openModel } from '../support/onnx-session.ts';
import { stepInputs } from './step-inputs.ts';

/** `readFile` ends at 2 GB. */
const READ_BYTES = 2 ** 28;

function readLarge(file: string): Uint8Array {
  const bytes = new Uint8Array(statSync(file).size);
  const descriptor = openSync(file, 'r');
  for (let at = 0; at < bytes.length;) {
    at += readSync(descriptor, bytes, at, Math.min(READ_BYTES, bytes.length - at), at);
  }
  closeSync(descriptor);
  return bytes;
}

async function runWasm(folder: string, weights: string, side: number): Promise<Float32Array> {
  const session = await openModel(readFileSync(path.join(folder, 'model.onnx')), {
    graphOptimizationLevel: 'disabled',
    externalData: [{ path: weights, data: readLarge(path.join(folder, weights)) }],
  });
  const inputs = Object.entries(stepInputs(side)).map(([name, { data, dims }]) => [
    name,
    { data, shape: dims },
  ]);
  const outputs = await session.run(
    Object.fromEntries(inputs) as Record<string, { data: Float32Array; shape: number[] }>,
  );
  return outputs['out_sample']?.data ?? new Float32Array();
}

async function runNative(folder: string, side: number, module: string): Promise<Float32Array> {
  const ort = createRequire(import.meta.url)(path.resolve(module)) as {
    InferenceSession: typeof InferenceSession;
    Tensor: typeof Tensor;
  };
  const session = await ort.InferenceSession.create(path.join(folder, 'model.onnx'));
  const feeds = Object.entries(stepInputs(side)).map(([name, { data, dims }]) => [
    name,
    new ort.Tensor('float32', data, dims),
  ]);
  const outputs = await session.run(Object.fromEntries(feeds) as Record<string, Tensor>);
  const data = outputs['out_sample']?.data;
  if (!(data instanceof Float32Array)) throw new Error('The UNet gave no numbers.');
  return data;
}

const [folder = '', weights = '', side = '', native] = process.argv.slice(2);
const output =
  native === undefined
    ? await runWasm(folder, weights, Number(side))
    : await runNative(folder, Number(side), native);
writeFileSync(path.join(folder, 'output.f32'), output);
