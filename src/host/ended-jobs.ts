import { toAppError } from '#protocol/error.ts';
import {
  imageIdOf,
  imagesOf,
  type Artifact,
  type JobEvent,
  type JobId,
  type JobRecord,
  type JobResult,
  type StoredImage,
} from '#protocol/job.ts';
import type { Jobs } from '#storage/jobs.ts';
import type { FinishedImages } from './finished-images.ts';

/** The image an artifact is, or belongs to; null for what is said of an image that is none of the job. */
function imageIndexOf(artifact: Artifact): number | null {
  if (artifact.kind === 'text') return null;
  return artifact.kind === 'image' ? artifact.image.index : artifact.of;
}

/** The jobs that have ended: those in storage, and those that storage did not take, which last as long as this tab. */
export function createEndedJobs(jobs: Jobs, images: FinishedImages, emit: (event: JobEvent) => void) {
  const unstored = new Map<JobId, JobRecord>();

  /** What a later tab will find of a result. */
  function withoutUnstored({ id, result }: JobRecord): JobResult | null {
    const artifacts = (result?.artifacts ?? []).filter((artifact) => {
      const index = imageIndexOf(artifact);
      return index === null || images.isStored(imageIdOf(id, index));
    });
    return result && artifacts.length > 0 ? { ...result, artifacts } : null;
  }

  const isInBin = ({ id }: JobRecord, index: number | null) =>
    index !== null && images.isInBin(imageIdOf(id, index));

  /** A record without what is in the bin; undefined for one whose images are all there. */
  function visible(record: JobRecord): JobRecord | undefined {
    const { result } = record;
    const made = imagesOf(result);
    if (!result || !made.some(({ index }) => isInBin(record, index))) return record;
    if (made.every(({ index }) => isInBin(record, index))) return undefined;
    const artifacts = result.artifacts.filter((artifact) => !isInBin(record, imageIndexOf(artifact)));
    return { ...record, result: { ...result, artifacts } };
  }

  async function get(id: JobId): Promise<JobRecord | undefined> {
    return unstored.get(id) ?? (await jobs.get(id));
  }

  async function find(id: JobId): Promise<JobRecord | undefined> {
    const record = await get(id);
    return record && visible(record);
  }

  /** Reports a job as it is seen now. @returns whether it is */
  async function report(id: JobId): Promise<boolean> {
    const record = await find(id);
    emit(record ? { type: 'record', record } : { type: 'removed', id });
    return record !== undefined;
  }

  async function put(record: JobRecord): Promise<void> {
    if (unstored.has(record.id)) unstored.set(record.id, record);
    else await jobs.put(record);
    const seen = visible(record);
    if (seen) emit({ type: 'record', record: seen });
  }

  async function remove(id: JobId): Promise<void> {
    await jobs.remove(id);
    unstored.delete(id);
    await images.removeJob(id);
    emit({ type: 'removed', id });
  }

  return {
    /**
     * Stores the end of a job and what it has of unstored images.
     * @returns the record as this tab has it: with `storage_full` for its error where storage did not take all of it
     */
    async store(record: JobRecord): Promise<JobRecord> {
      try {
        const failure = await images.settle(record.id);
        if (failure) throw failure;
        await jobs.put(record);
        return record;
      } catch (thrown) {
        // Whoever waits still gets the images, and no later tab may generate them again.
        const kept = { ...record, error: record.error ?? toAppError(thrown).toData() };
        unstored.set(record.id, kept);
        await jobs
          .put({ ...kept, stage: 'failed', result: withoutUnstored(kept) })
          .catch(() => jobs.put({ ...kept, stage: 'failed', result: null }))
          .catch(() => undefined);
        return kept;
      }
    },

    /** A job that storage did not take. */
    unstored: (id: JobId): JobRecord | undefined => unstored.get(id),

    find,
    visible,
    report,

    /** Deletes a job and its images. */
    remove,

    /** Deletes an image, and its job with the last of its images. @returns whether the job is gone too */
    async removeImage({ id, jobId, index }: StoredImage): Promise<boolean> {
      const others = (await images.allOfJob(jobId)).filter((other) => other.id !== id);
      if (others.length === 0) {
        await remove(jobId);
        return true;
      }
      const record = await get(jobId);
      if (record?.result) {
        const artifacts = record.result.artifacts.filter((artifact) => imageIndexOf(artifact) !== index);
        await put({ ...record, result: { ...record.result, artifacts } });
      }
      await images.remove(id);
      return false;
    },
  };
}
