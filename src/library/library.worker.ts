import { expose } from 'comlink';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { createLibrary } from './library.ts';
import { packs } from './packs/index.ts';

carryErrorCodes();
expose(
  createLibrary({
    packs: Object.values(packs),
    files: openModelFiles(),
    imported: openImportedPacks(),
    estimate: () => navigator.storage.estimate(),
    // Our own packs are beside the app, wherever the build put this worker.
    base: new URL(import.meta.env.BASE_URL, new URL('..', import.meta.url)).href,
  }),
);
