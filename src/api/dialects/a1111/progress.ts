import { route } from '#api/route.ts';
import { encodePreview } from '#api/preview.ts';
import type { ApiHost } from '#api/connection.ts';
import { arrivalOf, awaitedOf, describeArrival } from '#protocol/arrivals.ts';
import type { JobRecord } from '#protocol/job.ts';
import { countArtifacts, factsOf } from '#protocol/tasks.ts';
import { timestamp } from './describe-run.ts';
import { effectiveOptions } from './options.ts';
import { progressAnswer, progressQuery, taskProgressBody } from './schema.ts';
import { scriptsUnderWay, type ScriptUnderWay } from './scripts/under-way.ts';

/** The job that is running now, from any client. */
export async function runningJob(host: ApiHost): Promise<JobRecord | undefined> {
  return (await host.unfinishedJobs()).find((record) => record.stage === 'running');
}

/** Stops the running job, and the script that it is a run of, or the oldest script that is between two runs. */
export async function interruptRunning(host: ApiHost, session: string): Promise<void> {
  const record = await runningJob(host);
  scriptNow(session, record)?.stop.abort();
  if (record) await host.cancel(record.id);
}

/** The script that a running job belongs to; where nothing runs, the oldest. */
function scriptNow(session: string, record: JobRecord | undefined): ScriptUnderWay | undefined {
  const scripts = scriptsUnderWay(session);
  return record ? scripts.find(({ id }) => id === record.origin.reply?.['script']) : scripts[0];
}

/** Where a run of batches is. */
interface Place {
  /** All, and those that have ended. */
  batches: { all: number; before: number };
  pass: number;
  passes: number;
  step: number;
  steps: number;
  /** Epoch milliseconds. */
  startedAt: number;
}

interface JobState {
  jobCount: number;
  jobNumber: number;
  step: number;
  steps: number;
  /** 0 … 1. */
  progress: number;
  secondsLeft: number;
  startedAt: number;
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
  /** The id of the script that it is a run of. */
  script?: string;
}

function placeOf({ job, origin, progress, queuedAt, startedAt }: JobRecord): Place {
  const facts = factsOf(job);
  const batchSize = facts.batchSize(job);
  const own = { all: Math.ceil(countArtifacts(job) / batchSize), before: 0 };
  const { all, before } = (origin.reply as Partial<ProgressReply> | undefined)?.batches ?? own;
  return {
    batches: { all, before: before + Math.floor((progress?.image ?? 0) / batchSize) },
    pass: progress?.pass ?? 0,
    passes: Math.max(1, progress?.passes ?? 1),
    step: progress?.step ?? 0,
    steps: progress?.steps ?? facts.steps(job),
    startedAt: startedAt ?? queuedAt,
  };
}

/** A state in the original's terms: each pass of a batch of ours is a job of its own there. */
function stateOf({ batches, pass, passes, step, steps, startedAt }: Place): JobState {
  const jobCount = batches.all * passes;
  const jobNumber = Math.min(jobCount - 1, batches.before * passes + pass);
  const share = Math.min(1, 0.01 + (jobNumber + (steps > 0 ? step / steps : 0)) / jobCount);
  const seconds = (Date.now() - startedAt) / 1000;
  return {
    jobCount,
    jobNumber,
    step,
    steps,
    progress: share,
    secondsLeft: seconds / share - seconds,
    startedAt,
  };
}

/** Jobs of other clients go by the name of text-to-image. */
function nameOf(job: unknown, { jobCount, jobNumber }: JobState): string {
  if (job === EXTRAS_JOB) return job;
  if (jobCount > 1) return `Batch ${jobNumber + 1} out of ${jobCount}`;
  return typeof job === 'string' ? job : TXT2IMG_JOB;
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
      const script = scriptNow(call.session, record);
      const interrupted = script?.stop.signal.aborted ?? false;
      if (!record) {
        if (!script) return describe(null, '', null, interrupted, null);
        const state = stateBetweenRuns(script);
        return describe(state, nameOf(script.job, state), null, interrupted, null);
      }
      const { live_previews_enable: previews } = effectiveOptions(await host.settings());
      const preview = previews && !call.query.skip_current_image ? await host.preview(record.id) : undefined;
      const state = stateOf(placeOf(record));
      return describe(
        state,
        nameOf(record.origin.reply?.['job'], state),
        preview ? encodePreview(preview) : null,
        interrupted,
        await arrivalText(host, record),
      );
    }),
});

/** A script's last run has ended, and the next has not begun. */
function stateBetweenRuns(script: ScriptUnderWay): JobState {
  return stateOf({ ...script, pass: 0, step: 0 });
}

/** What a job waits for, such as `Downloading Faces: 43 %`; null once all of it is here. */
async function arrivalText(host: ApiHost, record: JobRecord): Promise<string | null> {
  const [awaited] = awaitedOf(record, [...(await host.models()), ...(await host.addOns())]);
  return awaited ? describeArrival(arrivalOf(awaited)) : null;
}

function describe(
  state: JobState | null,
  job: string,
  image: string | null,
  interrupted: boolean,
  textinfo: string | null,
) {
  return {
    progress: state?.progress ?? 0,
    eta_relative: state?.secondsLeft ?? 0,
    state: {
      skipped: false,
      interrupted,
      stopping_generation: false,
      job,
      job_count: state?.jobCount ?? 0,
      job_timestamp: timestamp(state?.startedAt ?? Date.now()),
      job_no: state?.jobNumber ?? 0,
      sampling_step: state?.step ?? 0,
      sampling_steps: state?.steps ?? 0,
    },
    current_image: image,
    textinfo,
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
      const script = scriptsUnderWay(call.session).find((own) => taskId !== null && own.taskId === taskId);
      const runs = record?.stage === 'running';
      const running = runs || script !== undefined;
      const queued = record?.stage === 'queued' && !running;
      const state = runs ? stateOf(placeOf(record)) : script && stateBetweenRuns(script);
      const preview = runs && call.body.live_preview ? await host.preview(record.id) : undefined;
      const previewId = state ? state.jobNumber * state.steps + state.step : call.body.id_live_preview;
      const isNew = preview !== undefined && previewId !== call.body.id_live_preview;
      return {
        active: running,
        queued,
        completed: record !== undefined && !running && !queued,
        progress: state?.progress ?? null,
        eta: state?.secondsLeft ?? null,
        live_preview: isNew ? `data:image/png;base64,${encodePreview(preview)}` : null,
        id_live_preview: isNew ? previewId : call.body.id_live_preview,
        textinfo: record && !queued ? (runs ? await arrivalText(host, record) : null) : 'Waiting...',
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
