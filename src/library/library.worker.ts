import { expose } from 'comlink';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { createLibrary } from './install.ts';
import { packs } from './packs/index.ts';

carryErrorCodes();
// Packs of our own lie beside the app, wherever the build put this worker.
const base = new URL(import.meta.env.BASE_URL, new URL('..', import.meta.url));
expose(createLibrary(Object.values(packs), openModelFiles(), base.href));
