import type * as OrtModule from 'onnxruntime-web/wasm';
import { narrowToFloat16, widenFloat16 } from '#codecs/float16.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { encodeOnnx } from '#engine/graph/onnx.ts';
import { AppError } from '#protocol/error.ts';
import { traced } from '#protocol/trace.ts';
import { readLazily, toLazyBytes, type DeferredBytes } from './lazy-bytes.ts';
import { createTaskQueue } from './queue.ts';

/** The API of onnxruntime-web; the same in every build. */
export type Ort = typeof OrtModule;

/** A way to get at onnxruntime-web: which files to load differs between browsers and Node. */
export interface OrtBuild {
  name: BackendInfo['build'];
  load(): Promise<Ort>;
}

/**
 * A tensor in JavaScript's memory or in a buffer of the runtime's own GPU device. Numbers in JavaScript's memory are
 * narrowed where the graph wants float16, and widened where it wants float64.
 */
export type TensorValue =
  | { type: 'float32'; data: Float32Array; dims: readonly number[] }
  | { type: 'int32'; data: Int32Array; dims: readonly number[] }
  | { type: 'int64'; data: BigInt64Array; dims: readonly number[] }
  | { type: 'bool'; data: Uint8Array; dims: readonly number[] }
  | { type: 'float32'; buffer: GPUBuffer; dims: readonly number[] };

/** Raw bytes a graph refers to by file name. */
export interface ExternalData {
  path: string;
  data: Blob | Uint8Array | DeferredBytes;
}

export interface SessionOptions {
  externalData?: readonly ExternalData[];
  /**
   * Whether weights are widened and dequantised once at load, for faster runs and up to eight times the memory, or layer
   * by layer in each run. ONNX Runtime's default is to widen at load and not to dequantise.
   */
  foldWeights?: boolean;
  /** Fail where the graph cannot run wholly on the chosen provider; for tests. */
  requireProvider?: boolean;
}

/** A loaded graph. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Declared dimensions of an input, with names for the free ones. */
  inputDims(name: string): readonly (number | string)[];
  /** Element type of an input, such as `float32` or `int64`. */
  inputType(name: string): string;
  /** Declared dimensions of an output, with names for those that the inputs decide. */
  outputDims(name: string): readonly (number | string)[];
  /**
   * Runs the graph and copies its float outputs into JavaScript's memory, float16 widened.
   * @throws AppError `device_lost`, `out_of_memory`, `engine_crashed`, `internal`
   */
  run(inputs: Readonly<Record<string, TensorValue>>): Promise<Record<string, FloatTensor>>;
  /** Runs the graph and writes its outputs into given GPU buffers; nothing is read back. */
  runInto(
    inputs: Readonly<Record<string, TensorValue>>,
    outputs: Readonly<Record<string, { buffer: GPUBuffer; dims: readonly number[] }>>,
  ): Promise<void>;
  release(): Promise<void>;
}

export interface FloatTensor {
  data: Float32Array;
  dims: readonly number[];
}

export interface Runtime {
  readonly backend: BackendInfo;
  /** The device sessions run on, for kernels of our own; null on the wasm provider. */
  readonly device: GPUDevice | null;
  /** Milliseconds spent inside ONNX Runtime's `run` so far. */
  readonly runMilliseconds: number;
  createSession(model: Uint8Array, options?: SessionOptions): Promise<Session>;
  /** Releases every session and the device. */
  close(): Promise<void>;
}

export interface RuntimeSetup {
  build: OrtBuild;
  device: GPUDevice | null;
  description: string;
}

// Overlapping create, run and release calls abort the wasm module, even for different sessions: one queue
// for the whole realm, not one per runtime.
const queue = createTaskQueue();

/**
 * Opens ONNX Runtime on a device of ours, or on the CPU where `device` is null. The runtime owns the device:
 * ONNX Runtime would destroy one of its own with its last session, and our latents with it.
 */
export async function openRuntime({ build, device, description }: RuntimeSetup): Promise<Runtime> {
  const ort = await queue.add(() => build.load());
  // Nobody waits for it: what is wrong with the wasm the first session says.
  queue.add(() => traced('compile the runtime', () => compile(ort))).catch(() => undefined);
  const sessions = new Set<Session>();
  let runMilliseconds = 0;
  let lost: string | null = null;
  void device?.lost.then((info) => {
    lost = info.message || info.reason;
  });

  const explain = (thrown: unknown): AppError => {
    if (lost !== null) return new AppError('device_lost', `The GPU was lost: ${lost}`, { cause: thrown });
    return explainFailure(thrown);
  };

  // The JSPI build streams Blobs to where the weights go.
  const toExternalData = async ({ path, data }: ExternalData) => {
    if ('read' in data) return { path, data: toLazyBytes(data) };
    return { path, data: data instanceof Blob && build.name !== 'jspi' ? await readLazily(data) : data };
  };

  const executionProviders: OrtModule.InferenceSession.ExecutionProviderConfig[] =
    device === null ? ['wasm'] : [{ name: 'webgpu', device, validationMode: 'wgpuOnly' }];

  // Apart from what is returned below: what the functions of one call share lives as long as any of them, and the weights would
  // be kept beside the session.
  const load = (model: Uint8Array, options: SessionOptions): Promise<OrtModule.InferenceSession> =>
    queue.add(async () => {
      try {
        return await ort.InferenceSession.create(model, {
          executionProviders,
          // `all` adds one more round of constant folding, which no option stops and which takes a third of the loading
          // time: with it SD 1.5 in float16 has 3.9 GB instead of 1.8 GB.
          graphOptimizationLevel: 'layout',
          ...(options.externalData && {
            externalData: await Promise.all(options.externalData.map(toExternalData)),
          }),
          extra: {
            session: {
              disable_quant_qdq: options.foldWeights === true ? '1' : '0',
              disable_cpu_ep_fallback: options.requireProvider === true ? '1' : '0',
            },
            ...(options.foldWeights === false && {
              optimization: { disable_specified_optimizers: 'ConstantFolding' },
            }),
          },
        });
      } catch (thrown) {
        throw explain(thrown);
      }
    });

  async function createSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
    return toSession(await load(model, options));
  }

  function toSession(session: OrtModule.InferenceSession): Session {
    const metadata = new Map(session.inputMetadata.map((input) => [input.name, input]));
    const tensorMetadata = (name: string) => {
      const found = metadata.get(name);
      if (found?.isTensor !== true)
        throw new AppError('internal', `The graph has no tensor input “${name}”.`);
      return found;
    };

    const toTensor = (name: string, value: TensorValue): OrtModule.Tensor => {
      const dims = [...value.dims];
      if ('buffer' in value) return ort.Tensor.fromGpuBuffer(value.buffer, { dataType: 'float32', dims });
      if (value.type === 'float32' && tensorMetadata(name).type === 'float16') {
        return new ort.Tensor('float16', narrowToFloat16(value.data), dims);
      }
      if (value.type === 'float32' && tensorMetadata(name).type === 'float64') {
        return new ort.Tensor('float64', Float64Array.from(value.data), dims);
      }
      switch (value.type) {
        case 'float32':
          return new ort.Tensor('float32', value.data, dims);
        case 'int32':
          return new ort.Tensor('int32', value.data, dims);
        case 'int64':
          return new ort.Tensor('int64', value.data, dims);
        case 'bool':
          return new ort.Tensor('bool', value.data, dims);
      }
    };
    const toFeeds = (inputs: Readonly<Record<string, TensorValue>>) =>
      Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, toTensor(name, value)]));

    const timed = <T>(run: () => Promise<T>): Promise<T> =>
      queue.add(async () => {
        if (lost !== null) throw explain(undefined);
        const start = performance.now();
        try {
          return await run();
        } catch (thrown) {
          throw explain(thrown);
        } finally {
          runMilliseconds += performance.now() - start;
        }
      });

    const opened: Session = {
      inputNames: session.inputNames,
      outputNames: session.outputNames,
      inputDims: (name) => tensorMetadata(name).shape,
      inputType: (name) => tensorMetadata(name).type,
      outputDims(name) {
        const output = session.outputMetadata.find((each) => each.name === name);
        if (output?.isTensor !== true)
          throw new AppError('internal', `The graph has no tensor output “${name}”.`);
        return output.shape;
      },
      run: (inputs) =>
        timed(async () => {
          const outputs = await session.run(toFeeds(inputs));
          const copied: Record<string, FloatTensor> = {};
          for (const [name, tensor] of Object.entries(outputs)) {
            const data = toFloats(tensor.type, await tensor.getData(true));
            if (data) copied[name] = { data, dims: tensor.dims };
            tensor.dispose();
          }
          return copied;
        }),
      runInto: (inputs, outputs) =>
        timed(async () => {
          const fetches = Object.fromEntries(
            Object.entries(outputs).map(([name, { buffer, dims }]) => [
              name,
              ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [...dims] }),
            ]),
          );
          await session.run(toFeeds(inputs), fetches);
        }),
      async release() {
        if (sessions.delete(opened)) await queue.add(() => session.release());
      },
    };
    sessions.add(opened);
    return opened;
  }

  return {
    backend: {
      provider: device === null ? 'wasm' : 'webgpu',
      build: build.name,
      description,
      float16: device?.features.has('shader-f16') ?? false,
    },
    device,
    get runMilliseconds() {
      return runMilliseconds;
    },
    createSession,
    async close() {
      for (const session of sessions) await session.release();
      device?.destroy();
    },
  };
}

/** A graph that only hands on its input. */
const SMALLEST_GRAPH = encodeOnnx({
  name: 'smallest',
  nodes: [{ operator: 'Identity', domain: '', inputs: ['given'], outputs: ['same'], attributes: {} }],
  initializers: [],
  inputs: [{ name: 'given', type: 'float32', shape: [1] }],
  outputs: [{ name: 'same', type: 'float32', shape: [1] }],
});

/**
 * Has the wasm fetched and compiled, on threads of the browser's, while this one reads a model: ONNX Runtime does not begin
 * with it before there is a session to create.
 */
async function compile(ort: Ort): Promise<void> {
  const session = await ort.InferenceSession.create(SMALLEST_GRAPH, { executionProviders: ['wasm'] });
  await session.release();
}

/** The numbers of a float tensor; undefined for tensors of something else. */
function toFloats(type: string, data: OrtModule.Tensor.DataType): Float32Array | undefined {
  if (data instanceof Float32Array) return data;
  // Float16Array where the browser has it, Uint16Array elsewhere: the same bytes.
  return type === 'float16' && ArrayBuffer.isView(data)
    ? widenFloat16(new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2))
    : undefined;
}

/** ONNX Runtime throws plain errors, or numbers when the wasm module dies; the words tell them apart. */
function explainFailure(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  if (
    // Integers overflow where a kernel counts the work on more cells than 32 bits hold: MultiHeadAttention's, on wasm.
    /bad_alloc|out of memory|Memory.grow|allocation failed|Failed to allocate|array buffer allocation|integer overflow/i.test(
      text,
    )
  ) {
    return new AppError('out_of_memory', 'Not enough memory for this image. Try a smaller size or batch.', {
      cause: thrown,
    });
  }
  if (typeof thrown === 'number' || /Aborted\(|unreachable|RuntimeError|table index/i.test(text)) {
    return new AppError('engine_crashed', `The engine stopped: ${text}`, { cause: thrown });
  }
  return new AppError('internal', text, { cause: thrown });
}
