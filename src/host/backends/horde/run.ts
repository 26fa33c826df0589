import { generationPairs, writeInfotext } from '#codecs/infotext.ts';
import type { BackendEvent } from '#protocol/backends.ts';
import type { RunOutcome } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { ImageSpec, JobProgress } from '#protocol/job.ts';
import { pause } from '#protocol/pause.ts';
import { isUnknownRequest, mayPass, waitOf, type HordeClient } from './client.ts';
import { toHordeSource, writeHordeImage } from './image-files.ts';
import type { HordeGeneration, HordePayload, HordeStatus } from './payload.ts';
import type { HordePlan, HordeRequest } from './plan.ts';

/** How patient a run is. */
export interface HordePatience {
  /** Between two looks at a request. */
  pollMs: number;
  /** Before the first retry after a failure that may pass; doubled with each. */
  retryMs: number;
  /** How long failures may last before the job fails with them. */
  giveUpAfterMs: number;
  /** How long no worker may be able to do a request. */
  impossibleForMs: number;
}

/** The Horde forgets requests nobody has asked about for 20 minutes (horde/classes/base/waiting_prompt.py). */
export const PATIENCE: HordePatience = {
  pollMs: 2_000,
  retryMs: 1_000,
  giveUpAfterMs: 600_000,
  impossibleForMs: 90_000,
};

/** Longest wait between two retries, unless the server asks for more. */
const MOST_RETRY_MS = 30_000;

export interface HordeRun {
  plan: HordePlan;
  /** Ids of requests an earlier tab has sent. */
  sent: readonly string[];
  client: HordeClient;
  patience: HordePatience;
  onEvent: (event: BackendEvent) => void | Promise<void>;
  signal: AbortSignal;
}

/**
 * Runs a job at the Horde: sends one request after the other, waits for each and hands over its images. What has been sent is
 * reported, and awaited, before it is waited for; a later tab goes on with it. A tab that is closed between the Horde's acceptance
 * and that report sends the request again: the API has nothing to recognise it by, and the first one expires there.
 * @throws AppError `remote_failed`
 */
export async function runHorde(run: HordeRun): Promise<RunOutcome> {
  const notes = new Set(run.plan.notes);
  for (const [index, request] of run.plan.requests.entries()) {
    if (run.signal.aborted && run.sent[index] === undefined) return { interrupted: true, notes: [...notes] };
    const isWhole = await runRequest(run, request, run.sent[index], notes);
    if (!isWhole) return { interrupted: true, notes: [...notes] };
  }
  return { interrupted: false, notes: [...notes] };
}

/** @returns whether it came to its end, and was not cancelled */
async function runRequest(
  run: HordeRun,
  request: HordeRequest,
  sentAs: string | undefined,
  notes: Set<string>,
): Promise<boolean> {
  let id = sentAs ?? (await send(run, request));
  if (id === null) return false;
  try {
    return await finish(run, request, id, notes);
  } catch (thrown) {
    if (sentAs === undefined || !isUnknownRequest(thrown)) throw thrown;
    // It expired while no tab was open. The job is still wanted.
    id = await send(run, request);
    return id !== null && (await finish(run, request, id, notes));
  }
}

/** @returns whether it came to its end, and was not cancelled */
async function finish(
  run: HordeRun,
  request: HordeRequest,
  id: string,
  notes: Set<string>,
): Promise<boolean> {
  const isDone = await follow(run, request, id);
  const generations = isDone
    ? await withRetries(run, () => run.client.finished(id), false)
    : await cancelThere(run, id);
  const missing = request.images.length - (await handOver(run, request, generations ?? [], notes));
  if (!isDone) return false;
  if (missing === request.images.length) {
    throw new AppError('remote_failed', 'The AI Horde finished the job without an image. Generate it again.');
  }
  if (missing > 0) notes.add(`The AI Horde left out ${String(missing)} of the images.`);
  return true;
}

/** @returns the id, or null if the job was cancelled before the Horde accepted it */
async function send(run: HordeRun, request: HordeRequest): Promise<string | null> {
  void run.onEvent({ type: 'progress', progress: progressOf(run.plan, request, null) });
  const payload = await withSources(request);
  const id = await withRetries(run, () => run.client.submit(payload));
  if (id !== null) await run.onEvent({ type: 'sent', index: run.plan.requests.indexOf(request), id });
  return id;
}

async function withSources({ payload, source, mask }: HordeRequest): Promise<HordePayload> {
  const { width, height } = payload.params;
  const size = { width, height };
  return {
    ...payload,
    ...(source && { source_image: await toHordeSource(source, size) }),
    ...(mask && { source_mask: await toHordeSource(mask, size) }),
  };
}

/**
 * Waits for the end of a request.
 * @returns whether it is done, and was not cancelled
 * @throws AppError `remote_failed` when it failed there, or no worker can do it
 */
async function follow(run: HordeRun, request: HordeRequest, id: string): Promise<boolean> {
  const { client, patience, plan, signal } = run;
  let impossibleSince: number | null = null;
  for (;;) {
    const status = await withRetries(run, () => client.check(id));
    if (status === null) return false;
    if (status.faulted) {
      throw new AppError(
        'remote_failed',
        'The job failed at the AI Horde. Generate it again, or run it in this tab.',
      );
    }
    if (status.done) return true;
    void run.onEvent({ type: 'progress', progress: progressOf(plan, request, status) });
    impossibleSince = status.is_possible ? null : (impossibleSince ?? Date.now());
    if (impossibleSince !== null && Date.now() - impossibleSince >= patience.impossibleForMs) {
      await cancelThere(run, id);
      throw new AppError(
        'remote_failed',
        `No worker of the AI Horde can do this now: “${request.payload.models.join(', ')}” at ${String(request.payload.params.width)}×${String(request.payload.params.height)}. Choose another model or a smaller size.`,
      );
    }
    await pause(patience.pollMs, signal);
  }
}

/** @returns what is finished; nothing of a request that is no longer known. It ends there by itself if it cannot be reached now. */
async function cancelThere({ client, patience }: HordeRun, id: string): Promise<HordeGeneration[]> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      return await client.cancel(id);
    } catch (thrown) {
      if (!mayPass(thrown)) return [];
      await pause(waitOf(thrown) ?? patience.retryMs * 2 ** attempt);
    }
  }
  return [];
}

/** @returns how many images were handed over */
async function handOver(
  run: HordeRun,
  request: HordeRequest,
  generations: readonly HordeGeneration[],
  notes: Set<string>,
): Promise<number> {
  const { job } = run.plan;
  const open = new Map(request.images.map((image, offset) => [request.first + offset, image]));
  for (const generation of generations) {
    const place = placeOf(open, generation.seed);
    if (!place) break;
    const [index, image] = place;
    open.delete(index);
    // Fetched also when the job is cancelled: they are made and paid for.
    const file = await withRetries(run, () => run.client.file(generation), false);
    if (file === null) continue;
    if (generation.censored)
      notes.add(`Image ${String(index + 1)} was censored by the worker’s safety filter.`);
    if (job.post.some(({ kind }) => kind === 'safety')) {
      const artifact = { kind: 'rating', of: index, unsafe: generation.censored } as const;
      await run.onEvent({ type: 'by-product', artifact });
    }
    const seed = /^\d+$/.test(generation.seed) ? BigInt(generation.seed) : image.seed;
    const infotext = infotextOf(run.plan, request, image, generation, seed);
    const texts = job.output.texts?.[index] ?? (job.output.metadata ? { parameters: infotext } : {});
    const written = await writeHordeImage(file, job.output, texts);
    const { width, height } = written;
    await run.onEvent({
      type: 'artifact',
      artifact: { kind: 'image', image: { ...image, seed, index, width, height, infotext } },
      file: written.file,
    });
  }
  return request.images.length - open.size;
}

/** The image that was generated: that of the seed, or else the first that has none yet. */
function placeOf(
  open: ReadonlyMap<number, ImageSpec>,
  seed: string,
): readonly [number, ImageSpec] | undefined {
  const entries = [...open];
  return entries.find(([, image]) => String(image.seed) === seed) ?? entries[0];
}

function infotextOf(
  { job }: HordePlan,
  { payload }: HordeRequest,
  image: ImageSpec,
  { worker_name: worker, model }: HordeGeneration,
  seed: bigint,
): string {
  const { params } = payload;
  const { metadata } = job.output;
  return writeInfotext({
    prompt: image.prompt.join(', '),
    negativePrompt: image.negativePrompt.join(', '),
    parameters: generationPairs({
      steps: params.steps,
      sampler: metadata?.samplerLabel ?? params.sampler_name,
      schedule: params.karras ? 'Karras' : null,
      cfgScale: params.cfg_scale,
      seed,
      width: params.width,
      height: params.height,
      modelHash: null,
      model: model || (payload.models[0] ?? null),
      subseed: 0n,
      subseedStrength: 0,
      seedResizeFrom: null,
      denoisingStrength: params.hires_fix_denoising_strength ?? params.denoising_strength ?? null,
      clipSkip: params.clip_skip,
      etaNoiseSeedDelta: 0,
      randomSource: 'GPU',
      tiling: params.tiling,
      extra: [
        ...(metadata?.extra ?? []),
        ['Generated by', 'AI Horde'],
        ...(worker === '' ? [] : ([['Horde worker', worker]] as const)),
      ],
      version: 'Vitrine',
    }),
  });
}

/** @param status null before the request is sent */
function progressOf(
  { job, requests }: HordePlan,
  request: HordeRequest,
  status: HordeStatus | null,
): JobProgress {
  const images = job.images.length;
  const image = Math.min(images, request.first + (status?.finished ?? 0));
  const isRunning = status !== null && status.processing > 0;
  return {
    phase: isRunning ? 'sampling' : 'waiting',
    fraction: (image + (isRunning ? 0.5 : 0)) / Math.max(1, images + (isRunning ? 0.5 : 0)),
    image: Math.min(image, images - 1),
    images,
    pass: 0,
    passes: 1,
    // The Horde reports no steps.
    step: 0,
    steps: 0,
    // Its estimate is for this request; nothing is known of those after it.
    secondsLeft: status !== null && request === requests.at(-1) ? status.wait_time : null,
    ...(status !== null && !isRunning && { queuePosition: status.queue_position }),
    notes: [],
  };
}

/**
 * Tries again what may pass, for as long as the run's patience lasts.
 * @param stops whether a cancelled job ends it
 * @returns null if the job was cancelled meanwhile
 */
async function withRetries<T>(
  { patience, signal }: HordeRun,
  request: () => Promise<T>,
  stops = true,
): Promise<T | null> {
  const since = Date.now();
  for (let attempt = 0; ; attempt++) {
    if (stops && signal.aborted) return null;
    try {
      return await request();
    } catch (thrown) {
      if (!mayPass(thrown)) throw thrown;
      const waitMs = waitOf(thrown) ?? Math.min(MOST_RETRY_MS, patience.retryMs * 2 ** attempt);
      if (Date.now() - since + waitMs > patience.giveUpAfterMs) throw thrown;
      await pause(waitMs, stops ? signal : undefined);
    }
  }
}
