import { proxy, releaseProxy, wrap, type Endpoint, type Remote } from 'comlink';
import type { BackendInfo, PromptTexts, SamplingSummary } from '#protocol/engine-host.ts';
import type { BackendChoice, EngineEvent, EngineWorker, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { Job } from '#protocol/job.ts';
import type { AnyPack, ModelPack } from '#protocol/model.ts';
import { traced } from '#protocol/trace.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';

/** The parts of Worker that are used. */
export type EngineThread = Endpoint & Pick<Worker, 'terminate'>;

interface Process {
  engine: Remote<EngineWorker>;
  /** Rejects when the worker dies. */
  crashed: Promise<never>;
  started: Promise<BackendInfo>;
  kill: (error: AppError) => void;
}

/**
 * The engine's worker, started when first needed and replaced when it dies: the running
 * job ends with an error and the next one runs in a new worker.
 * @param stopWithinMs how long a cancelled job may take to stop before its worker is ended by force
 */
export function createEngineProcess(
  startWorker: () => EngineThread,
  backendChoice: () => BackendChoice,
  onBackend: (backend: BackendInfo) => void,
  stopWithinMs = 120_000,
) {
  let current: Process | null = null;

  function open(): Process {
    if (current) return current;
    const worker = startWorker();
    const { promise: crashed, reject } = Promise.withResolvers<never>();
    crashed.catch(() => undefined);
    const engine = wrap<EngineWorker>(worker);
    let dead = false;
    const opened: Process = {
      engine,
      crashed,
      started: traced('start the engine', () => Promise.race([engine.start(backendChoice()), crashed])),
      kill(error) {
        if (dead) return;
        dead = true;
        if (current === opened) current = null;
        reject(error);
        engine[releaseProxy]();
        worker.terminate();
      },
    };
    worker.addEventListener('error', (event: Event & { message?: string }) => {
      event.preventDefault();
      opened.kill(
        new AppError('engine_crashed', `The engine stopped: ${event.message || 'unknown reason'}.`),
      );
    });
    current = opened;
    opened.started.then(onBackend, () =>
      opened.kill(new AppError('engine_crashed', 'The engine did not start.')),
    );
    return opened;
  }

  /** Does a piece of work in the worker; a worker that is past saving is replaced. */
  async function use<T>(work: (process: Process) => Promise<T>): Promise<T> {
    const process = open();
    try {
      await process.started;
      return await Promise.race([work(process), process.crashed]);
    } catch (thrown) {
      const fatal = thrown instanceof AppError && ['engine_crashed', 'out_of_memory'].includes(thrown.code);
      // Wasm memory never shrinks and an aborted module stays dead: only a new worker gives both back.
      if (fatal) process.kill(thrown);
      throw thrown;
    }
  }

  return {
    /** Starts the worker ahead of what will be asked of it. */
    prepare(): void {
      open();
    },
    load: (pack: ModelPack): Promise<void> => use(({ engine }) => engine.load(pack)),
    /** Runs a job with the packs that are installed; aborting `signal` stops it before its next step, by force if it does not listen. */
    async run(
      installed: readonly AnyPack[],
      job: Job,
      onEvent: (event: EngineEvent) => void,
      signal: AbortSignal,
    ): Promise<RunOutcome> {
      const ended = new AbortController();
      let force: ReturnType<typeof setTimeout> | undefined;
      try {
        return await use(({ engine, kill }) => {
          if (signal.aborted) throw new AppError('cancelled', 'Cancelled.');
          const stop = () => {
            void engine.cancel();
            const error = new AppError(
              'cancelled',
              'Cancelled. The engine did not stop by itself and was restarted.',
            );
            force = setTimeout(() => kill(error), stopWithinMs);
          };
          signal.addEventListener('abort', stop, { once: true, signal: ended.signal });
          return engine.run(installed, job, proxy(onEvent));
        });
      } finally {
        // Also when the worker died: there is nothing left to notify.
        ended.abort();
        clearTimeout(force);
      }
    },
    measureSpeed: (): Promise<number> => use(({ engine }) => engine.measureSpeed()),
    samplingPlan: (pack: ModelPack, choice: SamplerChoice, steps: number): Promise<SamplingSummary> =>
      use(({ engine }) => engine.samplingPlan(pack, choice, steps)),
    /** Null where no worker is running; none is started for it. */
    countTokens: async (pack: ModelPack, installed: readonly AnyPack[], texts: PromptTexts) =>
      current && (await use(({ engine }) => engine.countTokens(pack, installed, texts))),
    async unload(): Promise<void> {
      if (current) await use(({ engine }) => engine.unload());
    },
    async skip(): Promise<void> {
      await current?.engine.skip();
    },
    /** Ends the worker; the next job starts a new one, with the backend then chosen. */
    restart(): void {
      current?.kill(new AppError('engine_crashed', 'The engine was restarted.'));
    },
  };
}
