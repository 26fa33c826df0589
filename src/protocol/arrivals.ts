import type { Job, JobRecord } from './job.ts';
import type { AddOnInfo, ModelInfo } from './model.ts';
import { requirementsOf } from './tasks.ts';

/** A pack on its way: what it is called, what is done with it, and how far that is. */
export interface Arrival {
  /** For people: `Downloading Faces`. */
  text: string;
  /** 0 … 1; null where it is not known. */
  fraction: number | null;
}

/** The packs that a job requires and that are known but not installed yet. */
export function awaitedBy(job: Job, packs: readonly (ModelInfo | AddOnInfo)[]): (ModelInfo | AddOnInfo)[] {
  const required = requirementsOf(job);
  return packs.filter(
    ({ pack, state }) => state.stage !== 'installed' && required.some(({ id }) => id === pack.id),
  );
}

/** The packs that a queued or running job waits for. What can run elsewhere waits for none. */
export function awaitedOf(
  { job, backends = ['local'] }: Pick<JobRecord, 'job' | 'backends'>,
  packs: readonly (ModelInfo | AddOnInfo)[],
): (ModelInfo | AddOnInfo)[] {
  return backends.every((backend) => backend === 'local') ? awaitedBy(job, packs) : [];
}

/** Where a pack is on its way. */
export function arrivalOf({ pack: { title }, state }: ModelInfo | AddOnInfo): Arrival {
  switch (state.stage) {
    case 'downloading':
      return { text: `Downloading ${title}`, fraction: shareOf(state.receivedBytes, state.totalBytes) };
    case 'verifying':
      return { text: `Checking ${title}`, fraction: null };
    case 'quantising':
      return { text: `Quantising ${title}`, fraction: shareOf(state.doneBytes, state.totalBytes) };
    default:
      return { text: `Waiting for ${title}`, fraction: null };
  }
}

/** An arrival as one text: `Downloading Faces: 43 %`. */
export function describeArrival({ text, fraction }: Arrival): string {
  return fraction === null ? text : `${text}: ${Math.floor(fraction * 100)} %`;
}

function shareOf(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}
