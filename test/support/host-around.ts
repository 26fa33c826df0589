import { createEngineHost } from '#host/host.ts';
import type { EngineThread } from '#host/engine-process.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import type { JobRecord } from '#protocol/job.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { Settings } from '#protocol/settings.ts';
import { openImageMarks } from '#storage/image-marks.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { openKeys } from '#storage/keys.ts';
import { openPublishedFiles } from '#storage/published-files.ts';
import { openSettings } from '#storage/settings.ts';
import { expose, type Remote } from 'comlink';

carryErrorCodes();

let databases = 0;

export interface HostAroundOptions {
  startEngine: () => EngineThread;
  /** The worker that talks to the AI Horde, see `startHorde` of horde-server.ts; only for tests that use it. */
  startHorde?: () => EngineThread;
  library: Remote<LibraryWorker>;
  /** Names the tab's databases, which outlive it; new ones unless given. */
  database?: string;
  settings?: Settings;
  isOnline?: () => boolean;
  onJobEnded?: (record: JobRecord) => void;
}

export interface HostTab {
  host: EngineHost;
  database: string;
  /** Starts the engine, as a tab does that has become the host. */
  warmUp(): Promise<void>;
  /** The tab is closed: from now on it writes nothing. */
  close(): void;
}

/** An engine of this thread as the host sees one of another. */
export function asThread(engine: EngineWorker): EngineThread {
  const { port1, port2 } = new MessageChannel();
  expose(engine, port2);
  return Object.assign(port1, { terminate: () => port1.close() });
}

/** The app's own host, queue and stores around an engine and a library of the test. */
export async function openHostAround({
  startEngine,
  startHorde = () => {
    throw new Error('This test has no AI Horde.');
  },
  library,
  database = `test-${Date.now()}-${databases++}`,
  settings: initial = {},
  isOnline = () => true,
  onJobEnded = () => undefined,
}: HostAroundOptions): Promise<HostTab> {
  let isClosed = false;
  const whileOpen =
    <Values extends unknown[], Result>(write: (...values: Values) => Promise<Result>) =>
    (...values: Values): Promise<Result> =>
      isClosed ? new Promise(() => undefined) : write(...values);
  const [jobs, images] = [openJobs(`${database}-jobs`), openImages(`${database}-images`)];
  const settings = openSettings(`${database}-settings`);
  await settings.update(initial);
  const tab = await createEngineHost({
    hostId: 'test',
    startEngineWorker: startEngine,
    startHordeWorker: startHorde,
    library,
    jobs: { ...jobs, put: whileOpen(jobs.put), remove: whileOpen(jobs.remove) },
    images: { ...images, put: whileOpen(images.put), removeJob: whileOpen(images.removeJob) },
    imageMarks: openImageMarks(`${database}-marks`),
    files: openPublishedFiles(`${database}-files`),
    settings,
    keys: openKeys(`${database}-keys`),
    hasModels: () => Promise.resolve(false),
    forcedBackend: null,
    isOnline,
    onJobEnded,
  });
  const gone = Promise.withResolvers<undefined>();
  return {
    host: tab.serve(gone.promise),
    database,
    warmUp: () => tab.warmUp(),
    close: () => {
      isClosed = true;
      gone.resolve(undefined);
    },
  };
}
