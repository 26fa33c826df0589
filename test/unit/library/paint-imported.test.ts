import 'fake-indexeddb/auto';
import path from 'node:path';
import { createEngine } from '#engine/engine.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { ImportSource, WeightStorage } from '#protocol/import.ts';
import type { ControlSpec, Picture } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { textToImage } from '../../support/jobs.ts';
import { openNodeRuntime } from '../../support/node-engine.ts';
import { comparePictures, pngOf } from '../../support/pictures.ts';
import { serveFolder, type StaticServer } from '../../support/server.ts';
import { tinyCheckpoint, tinyControlNetFile } from '../../support/tiny-checkpoint.ts';

let app: StaticServer;
let model: File;
let edges: File;

beforeAll(async () => {
  app = await serveFolder(path.resolve(import.meta.dirname, '../../../public'));
  model = new File([await tinyCheckpoint()], 'tiny.safetensors');
  edges = new File([await tinyControlNetFile()], 'tiny-edges.safetensors');
});
afterAll(() => app.close());

/** What a job steers by: a black square on white, and what a tiny ControlNet makes of it. */
const STEERED = {
  image: pngOf(64, 64, (x, y) =>
    Math.max(Math.abs(x - 32), Math.abs(y - 32)) < 16 ? [0, 0, 0] : [255, 255, 255],
  ),
  fit: 'cover',
  preprocessor: { kind: 'canny', low: 100, high: 200 },
  strength: 1,
  start: 0,
  end: 1,
  balance: 'even',
} as const;

/** Imports the files and paints with what the library hands to the engine: alone, and steered by the ControlNet. */
async function importAndPaint(storage: WeightStorage): Promise<{ plain: Uint8Array; steered: Uint8Array }> {
  const files = openModelFiles(`files-${storage}`);
  const library = createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported: openImportedPacks(`packs-${storage}`),
    base: `${app.origin}/`,
    estimate: () => Promise.resolve({}),
  });
  const bring = async (file: File) => {
    const source: ImportSource = { from: 'files', files: [{ path: file.name, file }] };
    const id = await library.importPack(source, { storage }, null, () => undefined);
    return (await library.list()).find((known) => known.pack.id === id)?.pack;
  };
  const pack = await bring(model);
  const controlNet = await bring(edges);
  if (pack?.kind !== 'model' || controlNet?.kind !== 'controlnet')
    throw new Error('Something else was imported.');
  expect(controlNet.family).toBe('sd1');
  // At the size that SD 1 was trained for it would take minutes.
  const small: ModelPack = { ...pack, trainedSizes: [[64, 64]] };
  const engine = createEngine(openNodeRuntime, (known) => (name) => files.open(known.id, name));
  const job = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
  const paint = async (controls: readonly ControlSpec[]) => {
    const pictures: Picture[] = [];
    await engine.run(small, [controlNet], { ...job, model: pack.id, controls }, (event) => {
      if (event.type === 'picture') pictures.push(event.picture);
    });
    return new Uint8Array((await pictures[0]?.blob.arrayBuffer()) ?? new ArrayBuffer(0));
  };
  const plain = await paint([]);
  const steered = await paint([{ ...STEERED, id: controlNet.id }]);
  await engine.unload();
  return { plain, steered };
}

it(
  'an imported checkpoint and ControlNet paint, and quantised nearly the same',
  { timeout: 300_000 },
  async () => {
    const exact = await importAndPaint('exact');
    const int8 = await importAndPaint('int8');
    for (const way of ['plain', 'steered'] as const) {
      const { mean } = comparePictures(exact[way], int8[way]);
      expect(mean).toBeGreaterThan(0);
      expect(mean).toBeLessThan(5);
    }
    expect(comparePictures(exact.plain, exact.steered).mean).toBeGreaterThan(5);
  },
);
