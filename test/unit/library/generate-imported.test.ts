import 'fake-indexeddb/auto';
import path from 'node:path';
import { createEngine } from '#engine/engine.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import { openCheckpoint } from '#weights/checkpoint.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { ImportChoice, ImportSource, WeightStorage } from '#protocol/import.ts';
import type { AnyPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { textToImage, withPass } from '../../support/jobs.ts';
import { openNodeRuntime } from '../../support/node-engine.ts';
import { compareImages, pngOf } from '../../support/images.ts';
import { serveFolder, type StaticServer } from '../../support/server.ts';
import { tinyCheckpoint, tinyControlNetFile } from '../../support/tiny-checkpoint.ts';
import { fileOf, runToEnd } from '../../support/tiny-packs.ts';

let app: StaticServer;
beforeAll(async () => {
  app = await serveFolder(path.resolve(import.meta.dirname, '../../../public'));
});
afterAll(() => app.close());

/** What a job steers by: a black square on white. */
const SQUARE = {
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

/** A library with storage of its own, and an engine that generates with what it keeps. */
function openStudio(name: string) {
  const files = openModelFiles(`files-${name}`);
  const library = createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported: openImportedPacks(`packs-${name}`),
    base: `${app.origin}/`,
    estimate: () => Promise.resolve({}),
  });
  const engine = createEngine(openNodeRuntime, (known) => (file) => files.open(known.id, file));
  const job = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
  return {
    async bring(given: readonly File[], choice: ImportChoice) {
      const source: ImportSource = {
        from: 'files',
        files: given.map((file) => ({ path: file.name, file })),
      };
      const id = await library.importPack(source, choice, null, () => undefined);
      return (await library.list()).find((known) => known.pack.id === id)?.pack;
    },
    async generate(pack: AnyPack | undefined, controlNet?: AnyPack): Promise<Uint8Array> {
      if (pack?.kind !== 'model') throw new Error('This is no model.');
      const addOns = controlNet?.kind === 'controlnet' ? [controlNet] : [];
      const controls = addOns.map(({ id }) => ({ ...SQUARE, id }));
      const own = withPass({ ...job, controls }, { model: pack.id });
      const { pngs } = await runToEnd(engine, [pack, ...addOns], own);
      return pngs[0] ?? new Uint8Array();
    },
    close: () => engine.unload(),
  };
}

it(
  'a checkpoint and a ControlNet generate, and quantised nearly the same',
  { timeout: 300_000 },
  async () => {
    const model = new File([await tinyCheckpoint()], 'tiny.safetensors');
    const edges = new File([await tinyControlNetFile()], 'tiny-edges.safetensors');
    const importAndGenerate = async (storage: WeightStorage) => {
      const studio = openStudio(storage);
      const pack = await studio.bring([model], { storage });
      const controlNet = await studio.bring([edges], { storage });
      expect(controlNet).toMatchObject({ kind: 'controlnet', family: 'sd1' });
      const generated = {
        plain: await studio.generate(pack),
        steered: await studio.generate(pack, controlNet),
      };
      await studio.close();
      return generated;
    };
    const exact = await importAndGenerate('exact');
    const int8 = await importAndGenerate('int8');
    for (const way of ['plain', 'steered'] as const) {
      const { mean } = compareImages(exact[way], int8[way]);
      expect(mean).toBeGreaterThan(0);
      expect(mean).toBeLessThan(5);
    }
    expect(compareImages(exact.plain, exact.steered).mean).toBeGreaterThan(5);
  },
);

/** A checkpoint's networks as the folder that diffusers keeps, the UNet in two parts. */
async function toFolder(checkpoint: File): Promise<File[]> {
  const { components } = openCheckpoint(await openSafetensors(checkpoint, checkpoint.name));
  const folder: File[] = [];
  for (const [component, source] of components) {
    const names = [...source.names()];
    const half = names.length >> 1;
    const parts = component === 'unet' ? [names.slice(0, half), names.slice(half)] : [names];
    for (const [index, own] of parts.entries()) {
      const part = parts.length > 1 ? `-0000${index + 1}-of-00002` : '';
      const stem = component.startsWith('text') ? 'model' : 'diffusion_pytorch_model';
      const blob = await fileOf({ ...source, names: () => own });
      folder.push(new File([blob], `tiny/${component}/${stem}${part}.safetensors`));
    }
  }
  return folder;
}

it(
  'an SD 2 checkpoint generates, and the same from a folder whose UNet is in two parts',
  { timeout: 300_000 },
  async () => {
    const file = new File([await tinyCheckpoint({ family: 'sd2' })], 'tiny.safetensors');
    const choice = { storage: 'exact', prediction: 'v_prediction' } as const;
    const studio = openStudio('sd2');
    const single = await studio.bring([file], choice);
    expect(single).toMatchObject({ kind: 'model', family: 'sd2', trainedSizes: [[768, 768]] });
    const image = await studio.generate(single);
    const epsilon = await studio.generate(await studio.bring([file], { ...choice, prediction: 'epsilon' }));
    expect(compareImages(image, epsilon).mean).toBeGreaterThan(5);

    const folder = await toFolder(file);
    expect(folder.map(({ name }) => name)).toContain(
      'tiny/unet/diffusion_pytorch_model-00002-of-00002.safetensors',
    );
    const parts = await studio.generate(await studio.bring(folder, choice));
    expect(compareImages(image, parts).largest).toBe(0);
    await studio.close();
  },
);
