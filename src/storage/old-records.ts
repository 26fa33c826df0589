import { createStore, del, values } from 'idb-keyval';
import { toAppError } from '#protocol/error.ts';
import {
  imageIdOf,
  type Artifact,
  type GenerateJob,
  type GeneratedImage,
  type Init,
  type JobId,
  type JobRecord,
  type JobResult,
  type Pass,
  type StoredImage,
  type UpscaleJob,
  type UpscaleStep,
} from '#protocol/job.ts';
import type { Images } from './images.ts';
import type { Jobs } from './jobs.ts';

/** A record as version 0.1 wrote it: one task for each kind of start, and images with their files in the result. */
export interface OldRecord extends Omit<JobRecord, 'job' | 'result'> {
  job: OldGenerateJob | OldUpscaleJob;
  result: (Omit<JobResult, 'artifacts'> & { images: readonly (GeneratedImage & { blob: Blob })[] }) | null;
}

interface OldGenerateJob
  extends
    Omit<GenerateJob, 'task' | 'init' | 'passes' | 'post'>,
    Pick<Pass, 'model' | 'vae' | 'steps' | 'sampler' | 'guidanceScale'> {
  task: 'txt2img' | 'img2img' | 'inpaint';
  width: number;
  height: number;
  graphs?: Pass['graph'];
  init?: { image: Blob; strength: number; exactSteps?: boolean };
  mask?: Blob;
}

interface OldUpscaleJob extends Omit<UpscaleJob, 'post'>, Omit<UpscaleStep, 'kind'> {}

/** A current record, and its images, which are stored apart from it. @throws TypeError for anything that is not a record */
function convertRecord({ job, result, ...record }: OldRecord): {
  record: JobRecord;
  images: StoredImage[];
} {
  const images = result?.images ?? [];
  return {
    record: {
      ...record,
      job: job.task === 'upscale' ? convertUpscaleJob(job) : convertGenerateJob(job),
      result: result && {
        artifacts: images.map(toArtifact),
        interrupted: result.interrupted,
        seconds: result.seconds,
        notes: result.notes,
      },
    },
    images: images.map(({ index, blob, width, height, seed, prompt, infotext }) => ({
      id: imageIdOf(record.id, index),
      jobId: record.id,
      index,
      client: record.origin.client,
      createdAt: record.finishedAt ?? record.startedAt ?? record.queuedAt,
      blob,
      width,
      height,
      seed: seed.toString(),
      prompt: prompt.join(' '),
      infotext,
    })),
  };
}

function toArtifact({
  index,
  width,
  height,
  seed,
  subseed,
  prompt,
  negativePrompt,
  infotext,
}: GeneratedImage): Artifact {
  return {
    kind: 'image',
    image: { index, width, height, seed, subseed, prompt, negativePrompt, infotext },
  };
}

function convertUpscaleJob({ task, sources, output, ...step }: OldUpscaleJob): UpscaleJob {
  return { task, sources, output, post: [{ kind: 'upscale', ...step }] };
}

function convertGenerateJob(old: OldGenerateJob): GenerateJob {
  const { model, vae, width, height, steps, sampler, guidanceScale, graphs, init, mask, ...rest } = old;
  const pass: Pass = {
    model,
    ...(vae !== undefined && { vae }),
    size: { width, height },
    steps,
    strength: init?.strength ?? 1,
    ...(init?.exactSteps !== undefined && { exactSteps: init.exactSteps }),
    sampler,
    guidanceScale,
    ...(graphs && { graph: graphs }),
  };
  return { ...rest, task: 'generate', init: convertInit(init, mask), passes: [pass], post: [] };
}

function convertInit(init: OldGenerateJob['init'], mask: Blob | undefined): Init {
  if (!init) return { from: 'noise' };
  const source = { rules: 'diffusers', images: [init.image], fit: 'stretch' } as const;
  if (!mask) return { from: 'image', ...source };
  return {
    from: 'masked',
    ...source,
    mask: { kind: 'image', mask, invert: false },
    fill: 'original',
    blur: { x: 0, y: 0 },
    round: true,
    area: 'whole',
    overlay: false,
  };
}

/** The records of version 0.1; none is written any more. */
export function openOldRecords(database = 'vitrine-jobs') {
  const store = createStore(database, 'jobs');
  return {
    all: (): Promise<OldRecord[]> => values<OldRecord>(store),
    remove: (id: JobId): Promise<void> => del(id, store),
  };
}

/**
 * Moves the records of version 0.1 and their images to where they are kept now. Each is deleted when it has been moved, so
 * this may be cut off and started again. What cannot be read is dropped, and what storage has no room for is left for the
 * next start; the console says so.
 */
export async function moveOldRecords(
  old: ReturnType<typeof openOldRecords>,
  jobs: Jobs,
  images: Images,
): Promise<void> {
  for (const stored of await old.all()) {
    try {
      const converted = convertRecord(stored);
      for (const image of converted.images) await images.put(image);
      await jobs.put(converted.record);
    } catch (thrown) {
      if (toAppError(thrown).code === 'storage_full') {
        console.warn(
          'Images of an earlier version stay hidden until there is enough storage to move them.',
          thrown,
        );
        return;
      }
      console.warn(`The job ${stored.id} was dropped: this version of Vitrine cannot read it.`, thrown);
    }
    await old.remove(stored.id);
  }
}
