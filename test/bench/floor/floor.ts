import { wrap } from 'comlink';
import type { FloorWorker } from './floor.worker.ts';

/** The page around the worker, which the bench talks to. */
const worker = wrap<FloorWorker>(
  new Worker(new URL('./floor.worker.ts', import.meta.url), { type: 'module' }),
);

const floor = {
  open: (name: string) => worker.open(name),
  image: (name: string, steps: number) => worker.image(name, steps),
};

export type Floor = typeof floor;

Object.assign(globalThis, { floor });
