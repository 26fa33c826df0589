import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import { readGeneratedFile } from '#engine/graph/weight-binder.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { TensorSource } from '#weights/tensor-source.ts';

env.wasm.numThreads = 1;
env.wasm.wasmPaths = new URL('.', import.meta.resolve('onnxruntime-web/wasm')).href;
env.logLevel = 'error';

/** A tensor going into or coming out of a session. */
export interface Numbers {
  data: Float32Array | Int32Array;
  shape: readonly number[];
}

/** A session of ONNX Runtime's wasm provider in Node. */
export interface Session {
  run(
    inputs: Readonly<Record<string, Numbers>>,
  ): Promise<Record<string, { data: Float32Array; shape: readonly number[] }>>;
  release(): Promise<void>;
}

/** ONNX Runtime takes one call at a time. */
let last: Promise<unknown> = Promise.resolve();

function queued<T>(work: () => Promise<T>): Promise<T> {
  const result = last.then(work, work);
  last = result.catch(() => undefined);
  return result;
}

/**
 * The bytes that a built graph refers to by file name.
 * @param files The bytes of `graph.files`, the user's own weight files.
 */
export async function readExternalData(
  graph: BuiltGraph,
  weights: TensorSource,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<{ path: string; data: Uint8Array }[]> {
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const path of graph.files) {
    const data = files[path];
    if (!data) throw new Error(`The file ${path} was not given.`);
    externalData.push({ path, data });
  }
  if (graph.generated) {
    const data = new Uint8Array(graph.generated.sizeBytes);
    let position = 0;
    for await (const part of readGeneratedFile(graph.generated, weights)) {
      data.set(part, position);
      position += part.length;
    }
    externalData.push({ path: graph.generated.path, data });
  }
  return externalData;
}

/**
 * Opens a built graph.
 * @param files as for {@link readExternalData}
 */
export async function openGraph(
  graph: BuiltGraph,
  weights: TensorSource,
  files: Readonly<Record<string, Uint8Array>>,
  options: InferenceSession.SessionOptions = {},
): Promise<Session> {
  return openModel(graph.model, { ...options, externalData: await readExternalData(graph, weights, files) });
}

/** Opens the bytes of an ONNX model. */
export async function openModel(
  model: Uint8Array,
  options: InferenceSession.SessionOptions = {},
): Promise<Session> {
  const session = await queued(() =>
    InferenceSession.create(model, { executionProviders: ['wasm'], ...options }),
  );
  return {
    async run(inputs) {
      const feeds: Record<string, Tensor> = {};
      for (const [name, { data, shape }] of Object.entries(inputs)) {
        feeds[name] =
          data instanceof Float32Array
            ? new Tensor('float32', data, shape)
            : new Tensor('int32', data, shape);
      }
      const outputs = await queued(() => session.run(feeds));
      const results: Record<string, { data: Float32Array; shape: readonly number[] }> = {};
      for (const [name, { data, dims }] of Object.entries(outputs)) {
        if (!(data instanceof Float32Array)) throw new Error(`The output ${name} is not float32.`);
        results[name] = { data, shape: dims };
      }
      return results;
    },
    release: () => queued(() => session.release()),
  };
}
