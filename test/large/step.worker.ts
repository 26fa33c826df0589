import { expose } from 'comlink';
import { builtNetworks } from '#engine/models/built.ts';
import { openPackFiles } from '#engine/models/pack-files.ts';
import { browserBuild } from '#engine/runtime/builds.ts';
import { openRuntime, type Session } from '#engine/runtime/runtime.ts';
import type { ModelPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { stepInputs } from './step-inputs.ts';

/** The UNet of an imported model, opened as the engine opens it, on the wasm provider. */
let session: Session | undefined;

const worker = {
  /** Loads the UNet; `model` is the graph ONNX Runtime was given. */
  async load(pack: ModelPack): Promise<{ seconds: number; model: Uint8Array }> {
    const start = performance.now();
    const stored = openModelFiles();
    const runtime = await openRuntime({ build: browserBuild('wasm'), device: null, description: 'CPU' });
    let model = new Uint8Array();
    const watched = {
      ...runtime,
      createSession: (...[bytes, options]: Parameters<typeof runtime.createSession>) => {
        model = new Uint8Array(bytes);
        return runtime.createSession(bytes, options);
      },
    };
    const files = openPackFiles(pack, (path) => stored.open(pack.id, path));
    const networks = await builtNetworks(pack, files, watched);
    session = await networks.prepare('unet', { loras: [], unet: {} }).open();
    return { seconds: (performance.now() - start) / 1000, model };
  },

  /** One step of an image of this many cells a side. */
  async step(side: number): Promise<{ seconds: number; output: Float32Array }> {
    if (!session) throw new Error('Nothing is loaded.');
    const start = performance.now();
    const outputs = await session.run(stepInputs(side));
    const seconds = (performance.now() - start) / 1000;
    return { seconds, output: outputs['out_sample']?.data ?? new Float32Array() };
  },
};

export type StepWorker = typeof worker;

expose(worker);
