import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { openRuntime, type Runtime } from '#engine/runtime/runtime.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';

const require = createRequire(import.meta.url);

/** ONNX Runtime's wasm provider in Node, with one thread: browsers' workers for more do not exist here. */
export function openNodeRuntime(): Promise<Runtime> {
  return openRuntime({
    build: {
      name: 'wasm',
      async load() {
        const ort = await import('onnxruntime-web/wasm');
        ort.env.wasm.numThreads = 1;
        const wasm = readFileSync(require.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
        ort.env.wasm.wasmBinary = new Uint8Array(wasm).buffer;
        return ort;
      },
    },
    device: null,
    description: 'CPU, in Node',
  });
}

/** Reads a model's files from a folder. */
export function readFrom(folder: string): ReadFile {
  return async (file) => {
    try {
      return new Blob([new Uint8Array(await readFile(path.join(folder, file)))]);
    } catch {
      return undefined;
    }
  };
}

/** The built-in model, as the app serves it. */
export const EMOJI_MINI = path.resolve(import.meta.dirname, '../../public/models/emoji-mini');
