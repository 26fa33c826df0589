import { route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { ApiHost } from '#api/connection.ts';
import type { JobRecord } from '#protocol/job.ts';
import { countArtifacts, factsOf } from '#protocol/tasks.ts';
import { timestamp } from './describe-run.ts';
import { effectiveOptions } from './options.ts';
import { progressAnswer, progressQuery, taskProgressBody } from './schema.ts';

/** The job that is running now, from any client. */
export async function runningJob(host: ApiHost): Promise<JobRecord | undefined> {
  return (await host.unfinishedJobs()).find((record) => record.stage === 'running');
}

interface JobState {
  jobCount: number;
  jobNumber: number;
  step: number;
  steps: number;
  /** 0 … 1. */
  progress: number;
  secondsLeft: number;
}

/** Names of jobs in `state.job`. */
export const TXT2IMG_JOB = 'scripts_txt2img';
export const IMG2IMG_JOB = 'scripts_img2img';
export const EXTRAS_JOB = 'extras';

/** What is kept with a job for `/progress`. */
export interface ProgressReply {
  /** The original's name of the running job while it has one batch: `scripts_txt2img`, `extras`. */
  job: string;
  /** The request's `force_task_id`. */
  taskId?: string;
  /** Of a script that runs several jobs: batches of all of them, and of those before this one. */
  batches?: { all: number; before: number };
}

/** A job's state in the original's terms: each pass of a batch of ours is a job of its own there. */
function stateOf({ job, origin, progress, startedAt }: JobRecord): JobState {
  const facts = factsOf(job);
  const batchSize = facts.batchSize(job);
  const passes = Math.max(1, progress?.passes ?? 1);
  const own = Math.ceil(countArtifacts(job) / batchSize);
  const { all, before } = (origin.reply as Partial<ProgressReply> | undefined)?.batches ?? {
    all: own,
    before: 0,
  };
  const jobCount = all * passes;
  const batch = before + Math.floor((progress?.image ?? 0) / batchSize);
  const jobNumber = Math.min(jobCount - 1, batch * passes + (progress?.pass ?? 0));
  const step = progress?.step ?? 0;
  const steps = progress?.steps ?? facts.steps(job);
  const share = Math.min(1, 0.01 + (jobNumber + (steps > 0 ? step / steps : 0)) / jobCount);
  const seconds = (Date.now() - (startedAt ?? Date.now())) / 1000;
  return { jobCount, jobNumber, step, steps, progress: share, secondsLeft: seconds / share - seconds };
}

/** Jobs of other clients go by the name of text-to-image. */
function nameOf({ origin }: JobRecord, { jobCount, jobNumber }: JobState): string {
  const job = origin.reply?.['job'];
  if (job === EXTRAS_JOB) return job;
  if (jobCount > 1) return `Batch ${jobNumber + 1} out of ${jobCount}`;
  return typeof job === 'string' ? job : TXT2IMG_JOB;
}

function previewType(blob: Blob): string {
  return blob.type || 'image/png';
}

export const progress = route({
  method: 'GET',
  path: '/sdapi/v1/progress',
  summary: 'Progress of the running job',
  query: progressQuery,
  answer: progressAnswer,
  run: (call) =>
    call.ask(async (host) => {
      const record = await runningJob(host);
      if (!record) return describe(null, '', null);
      const { live_previews_enable: previews } = effectiveOptions(await host.settings());
      const preview = previews && !call.query.skip_current_image ? await host.preview(record.id) : undefined;
      const state = stateOf(record);
      return describe(
        { ...state, startedAt: record.startedAt ?? record.queuedAt },
        nameOf(record, state),
        preview ? await blobToBase64(preview) : null,
      );
    }),
});

function describe(state: (JobState & { startedAt: number }) | null, job: string, image: string | null) {
  return {
    progress: state?.progress ?? 0,
    eta_relative: state?.secondsLeft ?? 0,
    state: {
      skipped: false,
      interrupted: false,
      stopping_generation: false,
      job,
      job_count: state?.jobCount ?? 0,
      job_timestamp: timestamp(state?.startedAt ?? Date.now()),
      job_no: state?.jobNumber ?? 0,
      sampling_step: state?.step ?? 0,
      sampling_steps: state?.steps ?? 0,
    },
    current_image: image,
    textinfo: null,
  };
}

/** The newest job that was given this name by `force_task_id`. */
function findTask(records: readonly JobRecord[], taskId: string | null): JobRecord | undefined {
  return records.findLast((record) => taskId !== null && record.origin.reply?.['taskId'] === taskId);
}

export const taskProgress = route({
  method: 'POST',
  path: '/internal/progress',
  summary: 'Progress of a job by its force_task_id',
  body: taskProgressBody,
  run: (call) =>
    call.ask(async (host) => {
      const { id_task: taskId } = call.body;
      const record = findTask(await host.unfinishedJobs(), taskId) ?? findTask(await host.jobs(), taskId);
      const running = record?.stage === 'running';
      const queued = record?.stage === 'queued';
      const state = record && running ? stateOf(record) : undefined;
      const preview = record && running && call.body.live_preview ? await host.preview(record.id) : undefined;
      const previewId = state ? state.jobNumber * state.steps + state.step : call.body.id_live_preview;
      const isNew = preview !== undefined && previewId !== call.body.id_live_preview;
      return {
        active: running,
        queued,
        completed: record !== undefined && !running && !queued,
        progress: state?.progress ?? null,
        eta: state?.secondsLeft ?? null,
        live_preview: isNew ? `data:${previewType(preview)};base64,${await blobToBase64(preview)}` : null,
        id_live_preview: isNew ? previewId : call.body.id_live_preview,
        textinfo: record && !queued ? null : 'Waiting...',
      };
    }),
});

export const pendingTasks = route({
  method: 'GET',
  path: '/internal/pending-tasks',
  summary: 'The ids of waiting jobs',
  run: (call) =>
    call.ask(async (host) => {
      const waiting = (await host.unfinishedJobs()).filter((record) => record.stage === 'queued');
      const tasks = waiting.map((record) => record.origin.reply?.['taskId'] ?? record.id);
      return { size: tasks.length, tasks };
    }),
});
