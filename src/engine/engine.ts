import type { EngineEvent, EngineWorker, BackendChoice, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobProgress } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { loadModel, readNoiseModel, type LoadedModel, type ReadFile } from './models/model.ts';
import { createPromptEncoder, type PromptEncoder } from './pipelines/conditioning.ts';
import { drawTextToImage, type RunControl } from './pipelines/txt2img.ts';
import type { Runtime } from './runtime/runtime.ts';
import { planSampling } from './samplers/index.ts';

/** Failures after which the same job may well succeed on a new device. */
const WORTH_REPEATING: readonly AppError['code'][] = ['device_lost', 'not_a_number'];

interface Ready {
  model: LoadedModel;
  prompts: PromptEncoder;
}

/**
 * The engine: one runtime, one loaded model, one job at a time.
 * @param openRuntimeFor opens the runtime of a backend; called again after the device was lost
 * @param filesOf where the files of a pack are read from
 */
export function createEngine(
  openRuntimeFor: (choice: BackendChoice) => Promise<Runtime>,
  filesOf: (pack: ModelPack) => ReadFile,
): EngineWorker {
  let choice: BackendChoice = 'auto';
  let runtime: Promise<Runtime> | null = null;
  let ready: { id: string; loading: Promise<Ready> } | null = null;
  let control: RunControl | null = null;

  const open = () => (runtime ??= openRuntimeFor(choice));

  async function unload(): Promise<void> {
    const previous = ready;
    ready = null;
    // A model that failed to load holds nothing.
    const loaded = await previous?.loading.catch(() => null);
    await loaded?.model.release();
  }

  /** Only one model at a time: two would not fit where one just does. */
  async function prepare(pack: ModelPack): Promise<Ready> {
    if (ready?.id === pack.id) return ready.loading;
    await unload();
    const loading = (async () => {
      const model = await loadModel(pack, await open(), filesOf(pack));
      return { model, prompts: createPromptEncoder(model) };
    })();
    const entry = { id: pack.id, loading };
    ready = entry;
    try {
      return await loading;
    } catch (thrown) {
      if (ready === entry) ready = null;
      throw thrown;
    }
  }

  /** Gives up everything that lives on the device. */
  async function reset(): Promise<void> {
    const old = runtime;
    ready = null;
    runtime = null;
    await (await old)?.close().catch(() => undefined);
  }

  async function attempt(
    pack: ModelPack,
    job: Job,
    stop: RunControl,
    onEvent: (event: EngineEvent) => void,
  ): Promise<RunOutcome> {
    onEvent({ type: 'progress', progress: { ...LOADING, pictures: job.pictures.length } });
    const { model, prompts } = await prepare(pack);
    return drawTextToImage(await open(), model, prompts, job, stop, onEvent);
  }

  return {
    async start(wanted) {
      choice = wanted;
      return (await open()).backend;
    },
    async load(pack) {
      await prepare(pack);
    },
    async run(pack, addOns, job, onEvent) {
      const stop: RunControl = { cancelled: false, skipped: false };
      control = stop;
      try {
        return await attempt(pack, job, stop, onEvent);
      } catch (thrown) {
        const error = toAppError(thrown);
        if (stop.cancelled || !WORTH_REPEATING.includes(error.code)) throw error;
        // Jobs are deterministic: what was handed over already is only made again.
        await reset();
        return await attempt(pack, job, stop, onEvent);
      } finally {
        control = null;
      }
    },
    cancel() {
      if (control) control.cancelled = true;
    },
    skip() {
      if (control) control.skipped = true;
    },
    unload,
    async samplingPlan(pack, sampler, steps) {
      const noiseModel = await readNoiseModel(pack, filesOf(pack));
      const { sigmas, timesteps, evaluations, deterministic } = planSampling(sampler, noiseModel, steps);
      return { sigmas, timesteps, evaluations, deterministic };
    },
  };
}

const LOADING: JobProgress = {
  phase: 'loading',
  fraction: 0,
  picture: 0,
  pictures: 0,
  step: 0,
  steps: 0,
  secondsLeft: null,
};
