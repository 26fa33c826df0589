import { Worker } from 'node:worker_threads';
import type { EngineThread } from '#host/engine-process.ts';

/** Every thread that was started, for the tests to count and to end. */
export const threads: Worker[] = [];

/** The engine of engine-thread.ts as a browser's Worker on a thread of Node's: messages go through a port, uncaught errors become events. */
export class ThreadWorker extends EventTarget implements EngineThread {
  onerror = null;
  readonly #thread: Worker;
  readonly #port: MessagePort;

  constructor() {
    super();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const script = new URL('./engine-thread.ts', import.meta.url).href;
    // Threads of Node 20 read no TypeScript from the command line's loader.
    const start = `import('tsx/esm/api').then(({ tsImport }) => tsImport('${script}', '${script}'))`;
    this.#thread = new Worker(start, {
      eval: true,
      workerData: { port: port2, thread: threads.length },
      transferList: [port2 as never],
    });
    threads.push(this.#thread);
    port1.addEventListener('message', ({ data, ports }: MessageEvent<unknown>) => {
      this.dispatchEvent(new MessageEvent('message', { data, ports: [...ports] }));
    });
    port1.start();
    this.#thread.on('error', ({ message }) => {
      this.dispatchEvent(Object.assign(new Event('error', { cancelable: true }), { message }));
    });
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  terminate(): void {
    this.#port.close();
    void this.#thread.terminate();
  }
}
