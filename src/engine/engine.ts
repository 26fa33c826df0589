import type { EngineEvent, EngineWorker, BackendChoice, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import { countImages, type Job, type JobProgress } from '#protocol/job.ts';
import type { AddOnPack, AnyPack, ModelPack } from '#protocol/model.ts';
import { openAddOns } from './models/add-ons.ts';
import { openModel, readNoiseModel, type Model } from './models/model.ts';
import type { ReadFile } from './models/pack-files.ts';
import { createUpscalers, type Upscalers } from './models/upscalers.ts';
import { drawImages, type RunControl } from './pipelines/draw.ts';
import { upscaleImages } from './pipelines/upscale.ts';
import type { Runtime } from './runtime/runtime.ts';
import { planSampling } from './samplers/index.ts';

/** Failures after which the same job may well succeed on a new device. */
const WORTH_REPEATING: readonly AppError['code'][] = ['device_lost', 'not_a_number'];

/**
 * The engine: one runtime, one model and the upscalers beside it, one job at a time.
 * @param openRuntimeFor opens the runtime of a backend; called again after the device was lost
 * @param filesOf where the files of a pack are read from
 */
export function createEngine(
  openRuntimeFor: (choice: BackendChoice) => Promise<Runtime>,
  filesOf: (pack: AnyPack) => ReadFile,
): EngineWorker {
  let choice: BackendChoice = 'auto';
  let runtime: Promise<Runtime> | null = null;
  let ready: { key: string; opening: Promise<Model> } | null = null;
  let upscalers: Upscalers | null = null;
  let control: RunControl | null = null;

  const open = () => (runtime ??= openRuntimeFor(choice));

  async function unloadModel(): Promise<void> {
    const previous = ready;
    ready = null;
    // A model that failed to open holds nothing.
    const model = await previous?.opening.catch(() => null);
    await model?.release();
  }

  /** Only one model at a time: two would not fit where one just does. */
  async function prepare(pack: ModelPack): Promise<Model> {
    // A model imported again may have other configurations around the same files.
    const key = JSON.stringify(pack);
    if (ready?.key === key) return ready.opening;
    await unloadModel();
    const opening = open().then((opened) => openModel(pack, opened, filesOf(pack)));
    const entry = { key, opening };
    ready = entry;
    try {
      return await opening;
    } catch (thrown) {
      if (ready === entry) ready = null;
      throw thrown;
    }
  }

  /** Gives up everything that lives on the device. */
  async function reset(): Promise<void> {
    const old = runtime;
    ready = null;
    upscalers = null;
    runtime = null;
    await (await old)?.close().catch(() => undefined);
  }

  async function attempt(
    pack: ModelPack | null,
    addOns: readonly AddOnPack[],
    job: Job,
    stop: RunControl,
    onEvent: (event: EngineEvent) => void,
  ): Promise<RunOutcome> {
    onEvent({ type: 'progress', progress: { ...LOADING, images: countImages(job) } });
    const opened = openAddOns(addOns, filesOf);
    if (job.task === 'upscale') {
      const runtime = await open();
      upscalers ??= createUpscalers(runtime);
      return upscaleImages(runtime, upscalers, opened, job, stop, onEvent);
    }
    if (!pack) throw new AppError('internal', 'A job that generates came without its model.');
    const model = await prepare(pack);
    return drawImages(await open(), model, opened, job, stop, onEvent);
  }

  return {
    async start(wanted) {
      choice = wanted;
      return (await open()).backend;
    },
    async load(pack) {
      const model = await prepare(pack);
      await model.load({}, openAddOns([], filesOf));
    },
    async run(pack, addOns, job, onEvent: (event: EngineEvent) => unknown) {
      const stop: RunControl = { cancelled: false, skipped: false };
      const told: unknown[] = [];
      const tell = (event: EngineEvent) => void told.push(onEvent(event));
      control = stop;
      try {
        return await attempt(pack, addOns, job, stop, tell);
      } catch (thrown) {
        const error = toAppError(thrown);
        if (stop.cancelled || !WORTH_REPEATING.includes(error.code)) throw error;
        // Jobs are deterministic: what was handed over already is only made again.
        await reset();
        return await attempt(pack, addOns, job, stop, tell);
      } finally {
        control = null;
        // To another thread events and answers go by different ports: the end must not overtake an image.
        await Promise.allSettled(told);
      }
    },
    cancel() {
      if (control) control.cancelled = true;
    },
    skip() {
      if (control) control.skipped = true;
    },
    async unload() {
      const previous = upscalers;
      upscalers = null;
      await previous?.release();
      await unloadModel();
    },
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
  image: 0,
  images: 0,
  step: 0,
  steps: 0,
  secondsLeft: null,
};
