import './node-20.ts';
import { workerData } from 'node:worker_threads';
import type { EngineWorker, RunOutcome } from '#protocol/engine-worker.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { AppError } from '#protocol/error.ts';
import { factsOf } from '#protocol/tasks.ts';
import { expose } from 'comlink';

/**
 * An engine in a thread of its own whose jobs do what their prompt, or that of the image to upscale, says: `finish`, `wait` until cancelled, hear
 * nothing (`deaf`), `crash`, `name packs`, or throw the error of that code.
 */
const { port, thread } = workerData as { port: MessagePort; thread: number };
let cancelled = Promise.withResolvers<RunOutcome>();
const never = new Promise<never>(() => undefined);

const engine: EngineWorker = {
  start(choice) {
    if (choice === 'webgpu') throw new AppError('unsupported_feature', 'There is no WebGPU here.');
    const description = `thread ${String(thread)}`;
    return Promise.resolve({ provider: 'wasm', build: 'wasm', description, float16: false });
  },
  load: () => Promise.resolve(),
  run(installed, job, onEvent) {
    cancelled = Promise.withResolvers<RunOutcome>();
    onEvent({
      type: 'preview',
      preview: { width: thread + 1, height: 1, data: new Uint8ClampedArray(3 * (thread + 1)) },
    });
    const prompt = factsOf(job).prompt(job, 0);
    switch (prompt) {
      case 'finish':
        return Promise.resolve({ interrupted: false, notes: [] });
      case 'name packs':
        return Promise.resolve({ interrupted: false, notes: installed.map(({ id }) => id) });
      case 'wait':
        return cancelled.promise;
      case 'deaf':
        return never;
      case 'crash':
        setTimeout(() => {
          throw new Error('memory access out of bounds');
        });
        return never;
      case 'out_of_memory':
      case 'invalid_request':
        return Promise.reject(new AppError(prompt, `It is ${prompt}.`));
      default:
        return Promise.reject(new AppError('internal', `There is no job “${prompt}”.`));
    }
  },
  cancel: () => cancelled.resolve({ interrupted: true, notes: [] }),
  skip: () => undefined,
  unload: () => Promise.resolve(),
  measureSpeed: () => Promise.resolve(40e9),
  samplingPlan: (_, __, steps) =>
    Promise.resolve({ sigmas: [1, 0], timesteps: [999], evaluations: steps, deterministic: true }),
  countTokens: () =>
    Promise.resolve({ prompt: { tokens: 3, length: 75 }, negativePrompt: { tokens: 0, length: 75 } }),
};

carryErrorCodes();
expose(engine, port);
