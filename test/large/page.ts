import { proxy, wrap } from 'comlink';
import type { WeightStorage } from '#protocol/import.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { AnyPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import type { StepWorker } from './step.worker.ts';

/** What run.ts asks of this page. */
export interface LargePage {
  /** Imports the chosen file as the app does. */
  import(storage: WeightStorage): Promise<{ seconds: number; offered: number; pack: AnyPack }>;
  load(pack: AnyPack): Promise<{ seconds: number; model: number[] }>;
  step(side: number): Promise<{ seconds: number; output: number[] }>;
  /** Ends the engine's worker, and with it its memory. */
  unload(): void;
  /** Hands a stored file to the server. */
  save(pack: AnyPack, path: string, name: string): Promise<void>;
  remove(pack: AnyPack): Promise<void>;
  /** Bytes of JavaScript and wasm in all threads. */
  measureMemory(): Promise<number>;
}

const library = wrap<LibraryWorker>(
  new Worker(new URL('../../src/library/library.worker.ts', import.meta.url), { type: 'module' }),
);

let worker: Worker | undefined;
let steps: ReturnType<typeof wrap<StepWorker>> | undefined;

window.large = {
  async import(storage) {
    const file = document.querySelector<HTMLInputElement>('#checkpoint')?.files?.[0];
    if (!file) throw new Error('No file was chosen.');
    const source = { from: 'files', files: [{ path: file.name, file }] } as const;
    const offer = await library.inspect(source, null);
    if (offer.problem !== null) throw new Error(offer.problem);
    const start = performance.now();
    const id = await library.importPack(
      source,
      { storage },
      null,
      proxy(() => undefined),
    );
    const seconds = (performance.now() - start) / 1000;
    const pack = (await library.list()).find((known) => known.pack.id === id)?.pack;
    if (!pack) throw new Error('The import left nothing behind.');
    const offered = offer.options.find((option) => option.storage === storage)?.sizeBytes ?? 0;
    return { seconds, offered, pack };
  },
  async load(pack) {
    if (pack.kind !== 'model') throw new Error(`${pack.id} is no model.`);
    worker = new Worker(new URL('./step.worker.ts', import.meta.url), { type: 'module' });
    steps = wrap<StepWorker>(worker);
    const { seconds, model } = await steps.load(pack);
    return { seconds, model: [...model] };
  },
  async step(side) {
    if (!steps) throw new Error('Nothing is loaded.');
    const { seconds, output } = await steps.step(side);
    return { seconds, output: [...output] };
  },
  unload: () => worker?.terminate(),
  async save(pack, path, name) {
    const blob = await openModelFiles().open(pack.id, path);
    if (!blob) throw new Error(`${path} is not stored.`);
    await fetch(`/saved/${name}`, { method: 'POST', body: blob });
  },
  remove: (pack) => library.remove(pack.id),
  async measureMemory() {
    // Not in TypeScript's library yet.
    const clock = performance as Performance & {
      measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
    };
    return (await clock.measureUserAgentSpecificMemory()).bytes;
  },
};
