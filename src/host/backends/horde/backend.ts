import { proxy, wrap, type Endpoint, type Remote } from 'comlink';
import { AppError } from '#protocol/error.ts';
import type { HordeCost, HordeModel, HordeOptions, HordeWorker } from '#protocol/horde-worker.ts';
import type { Job } from '#protocol/job.ts';
import type { Backend } from '#host/backends/backend.ts';
import { planHorde } from './plan.ts';

/** What the host knows that the Horde needs. */
export interface HordeFacts {
  /** @throws AppError unless the user has agreed to send jobs there; asked again before a job is sent */
  checkAllowed: () => void;
  options: () => HordeOptions;
  /** Ids of CivitAI's versions by the ids of the LoRAs that came from there. */
  civitaiVersions: () => Readonly<Record<string, string>>;
}

/** The AI Horde as a backend of the queue. */
export interface HordeBackend extends Backend {
  models(): Promise<HordeModel[]>;
  cost(job: Job): Promise<HordeCost>;
}

/** The AI Horde, in a worker of its own that is started when it is first needed. */
export function createHordeBackend(
  startWorker: () => Endpoint & Pick<Worker, 'terminate'>,
  { checkAllowed, options, civitaiVersions }: HordeFacts,
): HordeBackend {
  let opened: { worker: Remote<HordeWorker>; crashed: Promise<never> } | null = null;

  function open() {
    if (opened) return opened;
    const thread = startWorker();
    const { promise: crashed, reject } = Promise.withResolvers<never>();
    crashed.catch(() => undefined);
    thread.addEventListener('error', (event: Event & { message?: string }) => {
      event.preventDefault();
      opened = null;
      thread.terminate();
      reject(
        new AppError(
          'remote_failed',
          `The part that talks to the AI Horde stopped: ${event.message || 'unknown reason'}.`,
        ),
      );
    });
    opened = { worker: wrap<HordeWorker>(thread), crashed };
    return opened;
  }

  function use<T>(work: (worker: Remote<HordeWorker>) => Promise<T>): Promise<T> {
    const { worker, crashed } = open();
    return Promise.race([work(worker), crashed]);
  }

  const order = (job: Job, sent: readonly string[]) => ({
    job,
    options: options(),
    civitaiVersions: civitaiVersions(),
    sent,
  });

  return {
    check: (job) => void planHorde(job, options(), civitaiVersions()),
    async run(job, onEvent, signal, sent) {
      // What is there already was sent with consent: its images are still fetched.
      if (sent.length === 0) checkAllowed();
      const ended = new AbortController();
      try {
        return await use(async (worker) => {
          const outcome = worker.run(order(job, sent), proxy(onEvent));
          const stop = () => void worker.cancel();
          // After the run has been asked for: a cancel before it would end nothing.
          if (signal.aborted) stop();
          signal.addEventListener('abort', stop, { once: true, signal: ended.signal });
          return outcome;
        });
      } finally {
        ended.abort();
      }
    },
    models: () => use((worker) => worker.models()),
    cost: (job) => use((worker) => worker.cost(order(job, []))),
  };
}
