import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePng, type Pixels } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { RestoreFacesStep, UpscaleJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { faceFinder, facePhoto, invertingRestorer, weighingRestorer } from '../../support/face-restorer.ts';
import { pngOf } from '../../support/images.ts';
import { differenceWhere } from '../../support/init-engine.ts';
import { openNodeRuntime } from '../../support/node-engine.ts';
import { runToEnd } from '../../support/tiny-packs.ts';

/** Within the larger face of `two-faces.png`, and far from both. */
const inFace = (x: number, y: number) => x >= 42 && x < 60 && y >= 52 && y < 72;
const isOutside = (x: number, y: number) => x >= 100 && y < 90;

const files = openModelFiles('files-of-restorers');
const library = createLibrary({
  packs: [packs['emoji-mini']],
  files,
  imported: openImportedPacks('packs-of-restorers'),
  base: 'http://localhost/',
  estimate: () => Promise.resolve({}),
});
const finder = faceFinder();
const engine = createEngine(
  openNodeRuntime,
  (pack) => (path) =>
    pack.id === finder.pack.id ? Promise.resolve(finder.files[path]) : files.open(pack.id, path),
);

async function bring(file: File): Promise<AddOnPack> {
  const id = await library.importPack(
    { from: 'files', files: [{ path: file.name, file }] },
    { storage: 'exact' },
    null,
    () => undefined,
  );
  const pack = (await library.list()).find((known) => known.pack.id === id)?.pack;
  if (!pack || pack.kind === 'model') throw new Error('This is no add-on.');
  return pack;
}

let gfpgan: AddOnPack;
let codeformer: AddOnPack;
let photo: Pixels;
beforeAll(async () => {
  gfpgan = await bring(invertingRestorer());
  codeformer = await bring(weighingRestorer());
  photo = decodePng(new Uint8Array(await facePhoto('two-faces').arrayBuffer()));
});
afterAll(() => engine.unload());

async function restore(
  step: Omit<RestoreFacesStep, 'kind' | 'infotext'>,
  image = facePhoto('two-faces'),
): Promise<{ image: Pixels; notes: readonly string[] }> {
  const job: UpscaleJob = {
    task: 'upscale',
    sources: [{ image }],
    post: [{ kind: 'restore-faces', infotext: [['Face restoration', 'A restorer']], ...step }],
    output: { format: 'png', quality: 1, texts: true },
  };
  const { pngs, notes, images } = await runToEnd(engine, [finder.pack, gfpgan, codeformer], job);
  expect(images[0]?.infotext).toContain('Face restoration: A restorer');
  return { image: decodePng(pngs[0] ?? new Uint8Array()), notes };
}

const inverted = (pixels: Pixels): Pixels => ({ ...pixels, data: pixels.data.map((value) => 255 - value) });

describe('a restorer', () => {
  it('is recognised by what its graph takes and gives', () => {
    expect(gfpgan).toMatchObject({ kind: 'face-restorer', network: 'gfpgan', family: null });
    expect(codeformer).toMatchObject({ kind: 'face-restorer', network: 'codeformer' });
  });

  it('is given each face upright, and what it gives is put back', async () => {
    const { image } = await restore({ restorer: gfpgan.id, visibility: 1 });
    expect(differenceWhere(image, inverted(photo), inFace)).toBeLessThan(8);
    expect(differenceWhere(image, photo, isOutside)).toBe(0);
  });

  it('is seen as far as asked', async () => {
    const { image } = await restore({ restorer: gfpgan.id, visibility: 0.5 });
    const grey = { ...photo, data: photo.data.map(() => 127) };
    expect(differenceWhere(image, grey, inFace)).toBeLessThan(5);
    expect((await restore({ restorer: gfpgan.id, visibility: 0 })).image.data).toEqual(photo.data);
  });

  it('is told how faithful to be', async () => {
    const faithful = await restore({ restorer: codeformer.id, visibility: 1, weight: 1 });
    expect(differenceWhere(faithful.image, photo, inFace)).toBeLessThan(8);
    const grey = { ...photo, data: photo.data.map(() => 128) };
    const strong = await restore({ restorer: codeformer.id, visibility: 1, weight: 0 });
    expect(differenceWhere(strong.image, grey, inFace)).toBeLessThan(2);
  });

  it('leaves an image without faces as it is, and says so', async () => {
    const { image, notes } = await restore(
      { restorer: gfpgan.id, visibility: 1 },
      pngOf(64, 64, () => [255, 255, 255]),
    );
    expect(image.data.every((value) => value === 255)).toBe(true);
    expect(notes).toEqual(['Image 1 stays as it is: no face was found in it.']);
  });

  it('has to be installed', async () => {
    await expect(restore({ restorer: 'gone', visibility: 1 })).rejects.toThrow(
      'The face restoration model “gone” is not installed. Install it in Models, or choose another.',
    );
  });
});
