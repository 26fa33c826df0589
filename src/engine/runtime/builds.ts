import asyncifyLoader from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import jspiLoader from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url';
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url';
import cpuLoader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import cpuWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { Ort, OrtBuild } from './runtime.ts';

type BuildName = BackendInfo['build'];

/**
 * The builds of onnxruntime-web. Loader and wasm come from our own origin as separate files, because the
 * threads of the wasm provider start from the loader's URL and must not start our worker again.
 */
const builds: Record<BuildName, { load: () => Promise<Ort>; mjs: string; wasm: string }> = {
  jspi: { load: () => import('onnxruntime-web/jspi'), mjs: jspiLoader, wasm: jspiWasm },
  webgpu: { load: () => import('onnxruntime-web/webgpu'), mjs: asyncifyLoader, wasm: asyncifyWasm },
  wasm: { load: () => import('onnxruntime-web/wasm'), mjs: cpuLoader, wasm: cpuWasm },
};

/**
 * Half of the cores, at most four, as onnxruntime-web's own default; one without shared memory. The other half is for whatever
 * else is busy: its threads spin while they wait for each other. On two cores, two threads take 0.77 of one's time while
 * nothing else runs, and 1.84 beside one busy program.
 */
function threadCount(): number {
  return crossOriginIsolated ? Math.min(4, Math.max(1, Math.ceil(navigator.hardwareConcurrency / 2))) : 1;
}

/** A build of onnxruntime-web for browsers, to be loaded once. */
export function browserBuild(name: BuildName): OrtBuild {
  const { load, mjs, wasm } = builds[name];
  return {
    name,
    async load() {
      const ort = await load();
      ort.env.logLevel = 'error';
      ort.env.wasm.numThreads = threadCount();
      ort.env.wasm.wasmPaths = {
        mjs: new URL(mjs, location.href).href,
        wasm: new URL(wasm, location.href).href,
      };
      return ort;
    },
  };
}
