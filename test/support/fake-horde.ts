import { encodePng } from '#codecs/png.ts';
import type { EngineThread } from '#host/engine-process.ts';
import type { HordeOrder, HordeWorker } from '#protocol/horde-worker.ts';
import { expose } from 'comlink';
import { colourOf } from './fake-engine.ts';

/**
 * The worker of the AI Horde for the app's panels: a request moves up one place with each `stepMs`, then its images come, each in the
 * one colour of its seed. The real one is tested against a server, see horde-server.ts.
 */
export class FakeHorde implements HordeWorker {
  readonly orders: HordeOrder[] = [];
  readonly #stepMs: number;
  #isCancelled = false;

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  startThread(): EngineThread {
    const { port1, port2 } = new MessageChannel();
    expose(this, port2);
    return Object.assign(port1, { terminate: () => port1.close() });
  }

  async run(order: HordeOrder, onEvent: Parameters<HordeWorker['run']>[1]) {
    this.orders.push(order);
    this.#isCancelled = false;
    const { job } = order;
    if (job.task !== 'generate') return { interrupted: false, notes: [] };
    await onEvent({ type: 'sent', index: 0, id: 'a request' });
    const counts = { image: 0, images: job.images.length, pass: 0, passes: 1, step: 0, steps: 0 };
    for (let queuePosition = 3; queuePosition >= 0 && !this.#hasEnded(); queuePosition--) {
      const progress = {
        ...counts,
        phase: 'waiting',
        fraction: 0,
        secondsLeft: queuePosition * 5,
        queuePosition,
        notes: [],
      } as const;
      await onEvent({ type: 'progress', progress });
      await new Promise((resolve) => setTimeout(resolve, this.#stepMs));
    }
    if (this.#hasEnded()) return { interrupted: true, notes: [] };
    const { width, height } = job.passes[0].size;
    for (const [index, image] of job.images.entries()) {
      const data = new Uint8Array(width * height * 3);
      for (let pixel = 0; pixel < width * height; pixel++) data.set(colourOf(image.seed), pixel * 3);
      const file = new Blob([encodePng({ width, height, channels: 3, data })], { type: 'image/png' });
      await onEvent({
        type: 'artifact',
        artifact: { kind: 'image', image: { ...image, width, height, index, infotext: '' } },
        file,
      });
    }
    return { interrupted: false, notes: [] };
  }

  cancel(): void {
    this.#isCancelled = true;
  }

  models() {
    return Promise.resolve([
      { name: 'AlbedoBase XL (SDXL)', workers: 7, waitSeconds: 40 },
      { name: 'stable_diffusion', workers: 1, waitSeconds: 8 },
    ]);
  }

  cost() {
    return Promise.resolve({ kudos: 12, balance: null });
  }

  // A method, for it changes while the run waits.
  #hasEnded(): boolean {
    return this.#isCancelled;
  }
}
