import { BACKENDS, type BackendId } from '#protocol/backends.ts';
import type { JobRecord } from '#protocol/job.ts';

function isKnown(backend: string): backend is BackendId {
  return Object.hasOwn(BACKENDS, backend);
}

/** What runs a job, or ran it, for people. */
export function backendTitle({ backend = 'local' }: JobRecord): string {
  return isKnown(backend) ? BACKENDS[backend].title : backend;
}

/** Whether a job runs, or ran, on a service on the network. */
export function isRemote({ backend = 'local' }: JobRecord): boolean {
  return backend !== 'local';
}
