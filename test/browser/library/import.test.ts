import { expect, test } from 'vitest';
import { openCheckpoint } from '#weights/checkpoint.ts';
import { storageOf } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { ImportSource } from '#protocol/import.ts';
import type { OnPackState } from '#protocol/library-worker.ts';
import type { ModelState } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';

const CHECKPOINT = 'checkpoint.safetensors';

let databases = 0;

/** The checkpoint and two libraries on the same real storage, of which the second is the one after a reload. */
async function prepare(estimate = () => navigator.storage.estimate()) {
  const blob = await tinyCheckpoint({ vocabulary: 100 });
  const database = `import-${Date.now()}-${databases++}`;
  const open = () =>
    createLibrary({
      packs: [packs['emoji-mini']],
      files: openModelFiles(`${database}-files`),
      imported: openImportedPacks(`${database}-packs`),
      // The tokenizer's files lie beside the app.
      base: `${location.origin}/`,
      estimate,
    });
  const source: ImportSource = {
    from: 'files',
    files: [{ path: 'tiny.safetensors', file: new File([blob], 'tiny.safetensors') }],
  };
  const states: ModelState[] = [];
  const tell: OnPackState = (_, state) => void states.push(state);
  return {
    blob,
    files: openModelFiles(`${database}-files`),
    library: open(),
    reloaded: open(),
    source,
    states,
    tell,
  };
}

async function sha256(blob: Blob | undefined): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', (await blob?.arrayBuffer()) ?? new ArrayBuffer(0));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

test('a dropped checkpoint is kept as it is', async () => {
  const { blob, files, library, reloaded, source, tell } = await prepare();
  const offer = await library.inspect(source, null);
  expect(offer).toMatchObject({ kind: 'model', family: 'sd1', problem: null });
  const id = await library.importPack(source, { storage: 'exact' }, null, tell);
  const kept = await files.open(id, CHECKPOINT);
  expect(kept?.size).toBe(blob.size);
  expect(await sha256(kept)).toBe(await sha256(blob));
  const [, imported] = await reloaded.list();
  expect(imported?.state.stage).toBe('installed');
  expect(imported?.pack.files.find(({ path }) => path === CHECKPOINT)?.sha256).toBe(await sha256(blob));
});

test('a dropped checkpoint is quantised without its original being stored', async () => {
  const { files, library, source, states, tell } = await prepare();
  const offer = await library.inspect(source, null);
  const id = await library.importPack(source, { storage: 'int8' }, null, tell);
  const unet = await files.open(id, 'unet/model.safetensors');
  const opened = await openSafetensors(unet ?? new Blob(), 'unet');
  expect(storageOf(opened, 'mid_block.resnets.0.conv1.weight')).toBe('int8-channels');
  expect(openCheckpoint(opened).components.has('unet')).toBe(true);
  expect(await files.stored(id, CHECKPOINT)).toBeUndefined();
  expect(states.some(({ stage }) => stage === 'quantising')).toBe(true);
  const [, imported] = await library.list();
  const bytes = imported?.pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  expect(bytes).toBe(offer.options.find(({ storage }) => storage === 'int8')?.sizeBytes);
});

test('an import that was stopped goes on after a reload', async () => {
  const { blob, files, library, reloaded, source, tell } = await prepare();
  const importing = library.importPack(source, { storage: 'int8' }, null, (pack, state) => {
    tell(pack, state);
    if (state.stage === 'quantising' && state.doneBytes > 0) library.cancel(pack.id);
  });
  await expect(importing).rejects.toMatchObject({ code: 'cancelled' });
  const [, stopped] = await reloaded.list();
  expect(stopped?.state).toMatchObject({ stage: 'failed' });
  await expect(reloaded.install('tiny', tell)).rejects.toMatchObject({ code: 'download_failed' });
  await reloaded.importPack(source, { storage: 'int8' }, null, tell);
  const [, done] = await reloaded.list();
  expect(done?.state.stage).toBe('installed');
  expect((await files.open('tiny', 'unet/model.safetensors'))?.size).toBeLessThan(blob.size);

  await reloaded.remove('tiny');
  expect(await reloaded.list()).toHaveLength(1);
  expect(await files.stored('tiny', 'unet/model.safetensors')).toBeUndefined();
});

test('a checkpoint for which there is no room is refused before anything is stored', async () => {
  const { library, source, tell } = await prepare(() => Promise.resolve({ quota: 9e6, usage: 1e6 }));
  await expect(library.importPack(source, { storage: 'exact' }, null, tell)).rejects.toMatchObject({
    code: 'storage_full',
    detail: { freeBytes: 8e6 },
  });
  expect(await library.list()).toHaveLength(1);
});
