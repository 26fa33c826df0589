import { createEngineHost } from '#host/host.ts';
import { standForHost, type Candidacy } from '#host/hosting.ts';
import { createLibraryProcess } from '#host/library-process.ts';
import type { ClaimPages, JobEnded } from '#protocol/connect.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import type { JobRecord } from '#protocol/job.ts';
import { openImageMarks } from '#storage/image-marks.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { openKeys } from '#storage/keys.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { moveOldRecords, openOldRecords } from '#storage/old-records.ts';
import { openPublishedFiles } from '#storage/published-files.ts';
import { openSettings } from '#storage/settings.ts';

/** `?backend=webgpu|wasm` in the page's address, over the setting. */
function backendOfAddress(): BackendChoice | null {
  const value = new URLSearchParams(location.search).get('backend');
  return value === 'webgpu' || value === 'wasm' || value === 'auto' ? value : null;
}

/** The service worker sends webhooks; it is notified of the jobs that came with notes of a dialect. */
async function announceEnd({ id, origin }: JobRecord): Promise<void> {
  if (origin.reply === undefined || !('serviceWorker' in navigator)) return;
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage({ type: 'vitrine-job-ended', id } satisfies JobEnded);
}

/**
 * Gets this page its controller back. A reload past the service worker (Shift+reload, or the developer tools' bypass) leaves
 * a page without one, and its API calls would reach the static host.
 */
async function regainController(): Promise<void> {
  if (!('serviceWorker' in navigator) || navigator.serviceWorker.controller) return;
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage({ type: 'vitrine-claim' } satisfies ClaimPages);
}

/** Lets this page host the engine; the composition shared by the app and by pages that embed the engine. */
export function hostEngine(): Candidacy {
  carryErrorCodes();
  void regainController();
  return standForHost(async (hostId) => {
    const jobs = openJobs();
    const images = openImages();
    const library = createLibraryProcess(
      () =>
        new Worker(new URL('./library/library.worker.ts', import.meta.url), {
          type: 'module',
          name: 'library',
        }),
    );
    await moveOldRecords(openOldRecords(), jobs, images);
    return createEngineHost({
      hostId,
      startEngineWorker: () =>
        new Worker(new URL('./engine/engine.worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
      startHordeWorker: () =>
        new Worker(new URL('./host/backends/horde/horde.worker.ts', import.meta.url), {
          type: 'module',
          name: 'horde',
        }),
      library,
      jobs,
      images,
      imageMarks: openImageMarks(),
      files: openPublishedFiles(),
      settings: openSettings(),
      keys: openKeys(),
      hasModels: () => openModelFiles().hasAny(),
      forcedBackend: backendOfAddress(),
      isOnline: () => navigator.onLine,
      onJobEnded: (record) => void announceEnd(record),
    });
  });
}
