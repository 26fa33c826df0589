import { jsonResponse } from '#api/response.ts';
import { route, type Call, type Route } from '#api/route.ts';
import type { JobId, JobRecord } from '#protocol/job.ts';
import { isEnded, JOB_NOT_FOUND, NAME, toAsyncJob, toHistoryItem } from './jobs.ts';
import * as schema from './schema.ts';

type Asking = Pick<Call<unknown, unknown>, 'ask'>;

/** This dialect's jobs, oldest first. */
async function ownJobs(call: Asking): Promise<JobRecord[]> {
  const records = await call.ask((host) => host.jobs());
  return records.filter((record) => record.origin.client === NAME);
}

async function findJob(call: Asking, id: JobId): Promise<JobRecord | undefined> {
  const record = await call.ask((host) => host.job(id));
  return record?.origin.client === NAME ? record : undefined;
}

const queryJob = route({
  method: 'GET',
  path: '/v1/generation/query-job',
  summary: 'The progress of a job, and its images',
  query: schema.queryJob,
  answer: schema.asyncJob,
  run: async (call) => {
    const record = await findJob(call, call.query.job_id);
    if (!record) return jsonResponse(JOB_NOT_FOUND, 404);
    call.note(record);
    return toAsyncJob(call, record, call.query.require_step_preview);
  },
});

const jobQueue = ['/v1/generation/job-queue', '/v1/engines/job-queue'].map((path) =>
  route({
    method: 'GET',
    path,
    summary: 'Number of jobs in the queue',
    run: async (call) => {
      const [ids, unfinished] = await call.ask((host) =>
        Promise.all([host.jobIds(NAME), host.unfinishedJobs()]),
      );
      const running = unfinished.filter(({ origin }) => origin.client === NAME).length;
      return {
        running_size: running,
        finished_size: ids.length - running,
        last_job_id: ids.at(-1) ?? null,
      };
    },
  }),
);

const jobHistory = route({
  method: 'GET',
  path: '/v1/generation/job-history',
  summary: 'Waiting and finished jobs; deletes one',
  query: schema.jobHistory,
  run: async (call) => {
    const { job_id: id } = call.query;
    if (call.query.delete && id !== '') {
      const known = await findJob(call, id);
      const removed = known !== undefined && (await call.ask((host) => host.removeJob(id)));
      return { message: removed ? 'Deleted' : 'Not found' };
    }
    const records = (await ownJobs(call)).filter((record) => id === '' || record.id === id);
    return {
      queue: records.filter((record) => !isEnded(record)).map(toHistoryItem),
      history: records.filter(isEnded).map(toHistoryItem),
    };
  },
});

const stop = route({
  method: 'POST',
  path: '/v1/generation/stop',
  summary: 'Stops the running job, which keeps its finished images',
  run: async (call) => {
    await call.ask(async (host) => {
      const running = (await host.unfinishedJobs()).find(
        ({ origin, stage }) => origin.client === NAME && stage === 'running',
      );
      if (running) await host.cancel(running.id);
    });
    return { msg: 'success' };
  },
});

/** The routes that query jobs and stop them. */
export const jobRoutes: readonly Route[] = [queryJob, ...jobQueue, jobHistory, stop];
