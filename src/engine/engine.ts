import type { BackendChoice, EngineEvent, EngineWorker, RunOutcome } from '#protocol/engine-worker.ts';
import type { EncodedChunks } from '#storage/encoded-chunks.ts';
import { toAppError, type AppError } from '#protocol/error.ts';
import type { Job } from '#protocol/job.ts';
import type { AnyPack } from '#protocol/model.ts';
import { traced } from '#protocol/trace.ts';
import { measureSpeed } from './measure-speed.ts';
import { openAddOns } from './models/add-ons.ts';
import { createDevice, emptyDevice, type Device } from './models/device.ts';
import { readNoiseModel } from './models/model.ts';
import { createModels } from './models/models.ts';
import type { ReadFile } from './models/pack-files.ts';
import type { Runtime } from './runtime/runtime.ts';
import { planSampling } from './samplers/index.ts';
import { createTokenCounter } from './stages/prompts/count-tokens.ts';
import { createRunContext, type Stop } from './stages/run/context.ts';
import { runJob } from './tasks/index.ts';

/** Failures after which the same job may succeed on a new device. */
const WORTH_REPEATING: readonly AppError['code'][] = ['device_lost', 'not_a_number'];

/**
 * The engine: one runtime, what is loaded on it, one job at a time.
 * @param openRuntimeFor opens the runtime of a backend; called again after the device was lost
 * @param filesOf where the files of a pack are read from
 * @param encodedChunks where encoded texts are kept; nowhere by default
 */
export function createEngine(
  openRuntimeFor: (choice: BackendChoice) => Promise<Runtime>,
  filesOf: (pack: AnyPack) => ReadFile,
  encodedChunks?: EncodedChunks,
): EngineWorker {
  let choice: BackendChoice = 'auto';
  let device: Promise<Device> | null = null;
  let stop: Stop | null = null;

  const countTokens = createTokenCounter(filesOf);
  const open = () => (device ??= openDevice());

  async function openDevice(): Promise<Device> {
    const runtime = await openRuntimeFor(choice);
    return createDevice(runtime, createModels(runtime, filesOf, encodedChunks));
  }

  /** Gives up everything that lives on the device. */
  async function reset(): Promise<void> {
    const old = device;
    device = null;
    await (await old)?.runtime.close().catch(() => undefined);
  }

  async function attempt(
    installed: readonly AnyPack[],
    job: Job,
    stopped: Stop,
    emit: (event: EngineEvent) => void,
  ): Promise<RunOutcome> {
    return runJob(createRunContext(await open(), job, installed, filesOf, stopped, emit), job);
  }

  return {
    async start(wanted) {
      choice = wanted;
      return (await open()).runtime.backend;
    },
    async load(pack) {
      const { models } = await open();
      const [model] = await traced('open the model', () => models.open([pack]));
      if (!model) return;
      const loaded = await traced('load the networks', () => models.load(model, {}, openAddOns([], filesOf)));
      for (const encoder of loaded.textEncoders) {
        // A job that has come meanwhile opens those that it needs, and may have put another model in this one's place.
        if (stop || !models.isOnDevice(model)) return;
        await encoder.open();
      }
    },
    async run(installed, job, onEvent: (event: EngineEvent) => unknown) {
      const stopped: Stop = { cancelled: false, skipped: false };
      const sent: unknown[] = [];
      const emit = (event: EngineEvent) => void sent.push(onEvent(event));
      stop = stopped;
      try {
        return await traced('run a job', () => attempt(installed, job, stopped, emit));
      } catch (thrown) {
        const error = toAppError(thrown);
        if (stopped.cancelled || !WORTH_REPEATING.includes(error.code)) throw error;
        // Jobs are deterministic: what was handed over already is only made again.
        await reset();
        return await attempt(installed, job, stopped, emit);
      } finally {
        stop = null;
        // To another thread events and answers go by different ports: the end must not overtake an image.
        await Promise.allSettled(sent);
      }
    },
    cancel() {
      if (stop) stop.cancelled = true;
    },
    skip() {
      if (stop) stop.skipped = true;
    },
    async unload() {
      const opened = await device;
      if (opened) await emptyDevice(opened);
    },
    async measureSpeed() {
      const opened = await open();
      // A model beside it may not leave enough memory.
      await emptyDevice(opened);
      return traced('measure the speed', () => measureSpeed(opened.runtime));
    },
    async samplingPlan(pack, sampler, steps) {
      const noiseModel = await readNoiseModel(pack, filesOf(pack));
      const { sigmas, timesteps, evaluations, deterministic } = planSampling(sampler, noiseModel, steps);
      return { sigmas, timesteps, evaluations, deterministic };
    },
    countTokens,
  };
}
