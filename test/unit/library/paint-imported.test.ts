import 'fake-indexeddb/auto';
import path from 'node:path';
import { createEngine } from '#engine/engine.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { ImportSource, WeightStorage } from '#protocol/import.ts';
import type { Picture } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { textToImage } from '../../support/jobs.ts';
import { openNodeRuntime } from '../../support/node-engine.ts';
import { comparePictures } from '../../support/pictures.ts';
import { serveFolder, type StaticServer } from '../../support/server.ts';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';

let app: StaticServer;
let file: File;

beforeAll(async () => {
  app = await serveFolder(path.resolve(import.meta.dirname, '../../../public'));
  file = new File([await tinyCheckpoint()], 'tiny.safetensors');
});
afterAll(() => app.close());

/** Imports the tiny checkpoint and paints with what the library hands to the engine. */
async function importAndPaint(storage: WeightStorage): Promise<Uint8Array> {
  const files = openModelFiles(`files-${storage}`);
  const library = createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported: openImportedPacks(`packs-${storage}`),
    base: `${app.origin}/`,
    estimate: () => Promise.resolve({}),
  });
  const source: ImportSource = { from: 'files', files: [{ path: file.name, file }] };
  const id = await library.importPack(source, { storage }, null, () => undefined);
  const pack = (await library.list()).find((known) => known.pack.id === id)?.pack;
  if (pack?.kind !== 'model') throw new Error('There is no model.');
  // At the size that SD 1 was trained for it would take minutes.
  const small: ModelPack = { ...pack, trainedSizes: [[64, 64]] };
  const engine = createEngine(openNodeRuntime, (known) => (name) => files.open(known.id, name));
  const pictures: Picture[] = [];
  const job = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
  await engine.run(small, [], { ...job, model: id }, (event) => {
    if (event.type === 'picture') pictures.push(event.picture);
  });
  await engine.unload();
  return new Uint8Array((await pictures[0]?.blob.arrayBuffer()) ?? new ArrayBuffer(0));
}

it('an imported checkpoint paints, and quantised nearly the same', { timeout: 300_000 }, async () => {
  const exact = await importAndPaint('exact');
  const int8 = await importAndPaint('int8');
  const { mean } = comparePictures(exact, int8);
  expect(mean).toBeGreaterThan(0);
  expect(mean).toBeLessThan(5);
});
