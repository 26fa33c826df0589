import './node-20.ts';
import type { ApiHost, Connect } from '#api/connection.ts';
import { encodePng } from '#codecs/png.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobRecord, GenerateJob, UpscaleJob } from '#protocol/job.ts';
import type { AddOnInfo, AddOnPack, ModelId, ModelInfo, ModelState } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { createJobQueue } from '#host/job-queue.ts';

const SHA256 = '0123456789abcdef'.repeat(4);

export const TEST_MODEL: ModelInfo = {
  pack: {
    id: 'emoji-mini',
    title: 'Emoji Mini',
    description: 'A model of the tests',
    kind: 'model',
    family: 'emoji-mini',
    weights: 'onnx',
    url: 'models/emoji-mini',
    files: [],
    licence: { name: 'MIT' },
    credits: '',
    trainedSizes: [[256, 256]],
    latent: { channels: 4, downscale: 8, scalingFactor: 1, sizeMultiple: 8 },
    defaults: {
      width: 256,
      height: 256,
      steps: 20,
      guidanceScale: 5,
      sampler: 'dpmpp_2m',
      schedule: 'karras',
    },
  },
  sizeBytes: 25_000_000,
  sha256: SHA256,
  state: { stage: 'installed', installedAt: 0 },
  selected: true,
};

/** A model around whose weights the engine writes its own graphs. */
export const OWN_GRAPHS_MODEL: ModelInfo = {
  ...TEST_MODEL,
  pack: { ...TEST_MODEL.pack, id: 'photo', title: 'Photo', family: 'sd1', weights: 'safetensors' },
};

/** An installed add-on of the tests. */
export function testAddOn(
  kind: AddOnPack['kind'],
  id: string,
  {
    family = null,
    sizeBytes = 4000,
    installed = true,
  }: {
    family?: AddOnPack['family'];
    sizeBytes?: number;
    installed?: boolean;
  } = {},
): AddOnInfo {
  return {
    pack: {
      id,
      title: id,
      description: 'An add-on of the tests',
      kind,
      family,
      url: null,
      files: [],
      licence: { name: 'unknown' },
      credits: '',
    },
    sizeBytes,
    sha256: 'fedcba9876543210'.repeat(4),
    state: installed ? { stage: 'installed', installedAt: 0 } : { stage: 'absent' },
  };
}

/** The colour a seed is generated in. */
export function colourOf(seed: bigint): [number, number, number] {
  return [Number(seed & 255n), Number((seed >> 8n) & 255n), Number((seed >> 16n) & 255n)];
}

export interface FakeHost {
  host: ApiHost;
  connect: Connect;
  /** Every job that was started to generate, in order. */
  jobs: GenerateJob[];
  /** Every job that was started to upscale. */
  upscalings: UpscaleJob[];
  /** Ends the tab: what was asked of it stays unanswered; the next `connect` finds a tab that takes over its records. */
  close(): void;
  /** No tab is open from now on. */
  vanish(): void;
}

interface Options {
  models?: readonly ModelInfo[];
  addOns?: readonly AddOnInfo[];
  settings?: Settings;
  /** Milliseconds per step; 0 generates at once. */
  stepMs?: number;
  /** Thrown in place of an image. */
  failure?: AppError;
  /** Told of every job that has ended. */
  onEnded?: (record: JobRecord) => void;
}

/**
 * The engine's host with its real queue, in memory, before an engine that generates each image in the one
 * colour of its seed, and "upscales" into flat images of 16 by 8 pixels. It goes through steps, previews, cancels and skips like the real one.
 */
export function createFakeHost({
  models = [TEST_MODEL],
  addOns = [],
  settings = {},
  stepMs = 0,
  failure,
  onEnded,
}: Options = {}): FakeHost {
  const catalogue = new Map(models.map((model) => [model.pack.id, model]));
  const records = new Map<JobId, JobRecord>();
  const published = new Map<string, { id: JobId; index: number }>();
  const started: GenerateJob[] = [];
  const upscalings: UpscaleJob[] = [];
  let stored = settings;
  let selected = models.find((model) => model.selected)?.pack.id;
  let vanished = false;
  let tab = openTab();

  function setState(id: ModelId, state: ModelState) {
    const model = catalogue.get(id);
    if (model) catalogue.set(id, { ...model, state });
  }

  function openTab() {
    const ended = Promise.withResolvers<undefined>();
    let skipped = false;
    let closed = false;
    // Read through functions: they change while a generator waits.
    const isClosed = () => closed;

    async function generate(
      job: Job,
      onEvent: (event: EngineEvent) => void,
      signal: AbortSignal,
    ): Promise<RunOutcome> {
      if (job.task === 'upscale') upscalings.push(job);
      else started.push(job);
      if (failure) throw failure;
      if (job.task === 'upscale') {
        for (const index of job.sources.keys()) {
          const counts = { image: index, images: job.sources.length, step: 1, steps: 2 };
          onEvent({
            type: 'progress',
            progress: { phase: 'upscaling', fraction: 0.5, secondsLeft: null, ...counts },
          });
          if (stepMs > 0) await new Promise((resolve) => setTimeout(resolve, stepMs));
          const facts = { index, width: 16, height: 8, seed: 0n, subseed: 0n, infotext: '' };
          const blob = blobOf(flatPng(16, 8, [index, 0, 0]));
          onEvent({ type: 'image', image: { ...facts, blob, prompt: [], negativePrompt: [] } });
        }
        return { interrupted: false, notes: [] };
      }
      const isAborted = () => signal.aborted;
      const isStopped = () => signal.aborted || skipped;
      const images = job.images.length;
      for (let first = 0; first < images && !isAborted(); first += job.batchSize) {
        skipped = false;
        const batch = job.images.slice(first, first + job.batchSize);
        for (let step = 1; step <= job.steps && !isStopped(); step++) {
          if (stepMs > 0) await new Promise((resolve) => setTimeout(resolve, stepMs));
          if (isClosed()) return new Promise(() => undefined);
          onEvent({
            type: 'progress',
            progress: {
              phase: 'sampling',
              fraction: (first + (step / job.steps) * batch.length) / images,
              image: first,
              images,
              step,
              steps: job.steps,
              secondsLeft: null,
            },
          });
          onEvent({ type: 'preview', blob: blobOf(flatPng(8, 8, [step, 0, 0])) });
        }
        if (isAborted() && !job.keepUnfinished) break;
        batch.forEach((image, offset) => {
          const index = first + offset;
          const infotext = `seed ${image.seed}`;
          const { metadata, texts } = job.output;
          const text = texts?.[index] ?? (metadata ? { parameters: infotext } : {});
          onEvent({
            type: 'image',
            image: {
              ...image,
              index,
              blob: blobOf(flatPng(job.width, job.height, colourOf(image.seed), text)),
              width: job.width,
              height: job.height,
              infotext,
            },
          });
        });
      }
      return { interrupted: signal.aborted, notes: [] };
    }

    const queue = createJobQueue(
      {
        get: (id) => Promise.resolve(records.get(id)),
        put: (record) => {
          if (!closed) records.set(record.id, record);
          return Promise.resolve();
        },
        remove: (id) => {
          records.delete(id);
          return Promise.resolve();
        },
        all: () => Promise.resolve([...records.values()].sort((a, b) => a.queuedAt - b.queuedAt)),
      },
      { run: generate, ended: (record) => onEnded?.(record) },
      () => undefined,
    );
    return {
      queue,
      ended: ended.promise,
      skip: () => {
        skipped = true;
      },
      end: () => {
        closed = true;
        ended.resolve(undefined);
      },
    };
  }

  function hostOf({ queue, skip }: ReturnType<typeof openTab>): ApiHost {
    return {
      submit: (id, job, origin) => queue.submit(id, job, origin),
      wait: (id) => queue.wait(id),
      answered: (id) => queue.answered(id),
      job: (id) => queue.find(id),
      jobs: () => queue.all(),
      jobIds: (client) => queue.idsOf(client),
      unfinishedJobs: () => queue.unfinished(),
      preview: (id) => Promise.resolve(queue.preview(id)),
      cancel: (id) => queue.cancel(id),
      skip: (id) => {
        if (queue.isRunning(id)) skip();
        return Promise.resolve();
      },
      removeJob: (id) => queue.changeEnded(id, () => null),
      models: () =>
        Promise.resolve(
          [...catalogue.values()].map((model) => ({ ...model, selected: model.pack.id === selected })),
        ),
      addOns: () => Promise.resolve([...addOns]),
      installModel: (id) => {
        setState(id, { stage: 'installed', installedAt: Date.now() });
        return Promise.resolve();
      },
      removeModel: (id) => {
        setState(id, { stage: 'absent' });
        return Promise.resolve();
      },
      selectModel: (id) => {
        selected = id;
        return Promise.resolve();
      },
      settings: () => Promise.resolve(stored),
      updateSettings: (changes) => Promise.resolve((stored = { ...stored, ...changes })),
      file: async (path) => {
        const file = published.get(path);
        const record = file && (await queue.find(file.id));
        return record?.result?.images.find((image) => image.index === file?.index)?.blob;
      },
      publishFiles: (id, paths) => {
        paths.forEach((path, index) => published.set(path, { id, index }));
        return Promise.resolve();
      },
    };
  }

  return {
    get host() {
      return hostOf(tab);
    },
    connect: () => {
      if (vanished) return Promise.reject(new AppError('no_engine_tab', 'No tab is open that could draw.'));
      return Promise.resolve({ host: hostOf(tab), ended: tab.ended });
    },
    jobs: started,
    upscalings,
    close: () => {
      tab.end();
      tab = openTab();
    },
    vanish: () => {
      vanished = true;
    },
  };
}

function flatPng(
  width: number,
  height: number,
  colour: readonly [number, number, number],
  text: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) data.set(colour, pixel * 3);
  return encodePng({ width, height, channels: 3, data }, text);
}

function blobOf(bytes: Uint8Array<ArrayBuffer>): Blob {
  return new Blob([bytes], { type: 'image/png' });
}
