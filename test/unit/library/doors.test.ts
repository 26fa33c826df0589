import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { catalogue } from '#library/catalogue/index.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { CatalogueEntry, ImportSource } from '#protocol/import.ts';
import { openModelFiles, type ModelFiles } from '#storage/model-files.ts';
import { openImportedPacks, type ImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serveHub, type HubServer } from '../../support/hub-server.ts';
import { pseudoRandom, tensorsOf } from '../../support/random-weights.ts';
import { serveFolder, type StaticServer } from '../../support/server.ts';
import {
  CAPTIONER_FILES,
  tinyCaptionDecoder,
  tinyCaptionEncoder,
  tinyWdTagger,
  WD_TAGS,
} from '../../support/tiny-describers.ts';
import { tinyDepth, tinySamDecoder, tinySamEncoder } from '../../support/tiny-finders.ts';
import { clipVisionTensors, ipAdapterTensors } from '../../support/tiny-image-prompt.ts';
import { tinyCheckpoint, tinyControlNetFile } from '../../support/tiny-checkpoint.ts';
import { fileOf } from '../../support/tiny-packs.ts';
import { tinyUpscalerFile } from '../../support/tiny-upscaler.ts';
import {
  BERT_TOKENIZER,
  CLIP_TOKENIZER,
  tinyGroundingDino,
  tinyOwlVit,
} from '../../support/tiny-word-finders.ts';

const CPU: BackendInfo = { provider: 'wasm', build: 'wasm', description: 'CPU', float16: false };
const FILE = 'thing.safetensors';

const bytesOf = async (blob: Blob | undefined) =>
  new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer(0));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const fixture = async (name: string) =>
  Uint8Array.from(await readFile(path.resolve(import.meta.dirname, '../../fixtures/models', name)));

/** What can be imported from one file, and such a file. */
const KINDS = {
  model: async () => bytesOf(await tinyCheckpoint({ vocabulary: 100 })),
  lora: () => fixture('lora-kohya.safetensors'),
  embedding: async () =>
    bytesOf(await fileOf(tensorsOf({ emb_params: { shape: [2, 768], data: pseudoRandom(2 * 768) } }))),
  vae: () => fixture('autoencoder-kl/diffusion_pytorch_model.safetensors'),
  'tiny vae': () => fixture('autoencoder-tiny/diffusion_pytorch_model.safetensors'),
  controlnet: async () => bytesOf(await tinyControlNetFile()),
  upscaler: async () => bytesOf(await tinyUpscalerFile()),
  'ip-adapter': async () =>
    bytesOf(await fileOf(ipAdapterTensors('plus', { input: 1280, context: 768, attentions: [32] }))),
} as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

type Content = Uint8Array<ArrayBuffer> | string;

/** What comes as a repository of several files, and such a repository: kinds, and entries of the list that are unlike theirs. */
const REPOSITORIES: Readonly<Record<string, () => Promise<Readonly<Record<string, Content>>>>> = {
  'clip-vision': async () => ({
    'config.json': '{"hidden_act":"gelu"}',
    'model.safetensors': await bytesOf(await fileOf(clipVisionTensors())),
  }),
  captioner: () =>
    Promise.resolve({
      ...CAPTIONER_FILES,
      'onnx/encoder_model.onnx': tinyCaptionEncoder(),
      'onnx/decoder_model_merged.onnx': tinyCaptionDecoder(),
    }),
  tagger: () => Promise.resolve({ 'model.onnx': tinyWdTagger(), 'selected_tags.csv': WD_TAGS }),
  finder: () =>
    Promise.resolve({
      'config.json': '{"model_type":"sam"}',
      'preprocessor_config.json': '{"size":{"longest_edge":1024}}',
      'onnx/vision_encoder.onnx': tinySamEncoder(),
      'onnx/prompt_encoder_mask_decoder.onnx': tinySamDecoder(),
    }),
  'grounding-dino-tiny': () =>
    Promise.resolve({
      'tokenizer.json': BERT_TOKENIZER,
      'onnx/model_quantized.onnx': tinyGroundingDino(),
    }),
  'owlvit-base-patch32': () =>
    Promise.resolve({ 'tokenizer.json': CLIP_TOKENIZER, 'onnx/model_quantized.onnx': tinyOwlVit() }),
  preprocessor: () =>
    Promise.resolve({
      'preprocessor_config.json': '{"size":{"height":518,"width":518}}',
      'onnx/model.onnx': tinyDepth(),
    }),
};

let contents: ReadonlyMap<Kind, Uint8Array<ArrayBuffer>>;
let app: StaticServer;
let hub: HubServer;
/** Any other server with the same files. */
let other: HubServer;
let files: ModelFiles;
let imported: ImportedPacks;
let databases = 0;

const contentOf = (kind: string): Uint8Array<ArrayBuffer> =>
  new Map<string, Uint8Array<ArrayBuffer>>(contents).get(kind) ?? new Uint8Array(0);
/** The files of a repository with something of a kind. @param file what a file that is enough by itself is called */
async function repositoryFiles(kind: string, file: string): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const several = await REPOSITORIES[kind]?.();
  if (!several) return { [file]: contentOf(kind) };
  return Object.fromEntries(
    Object.entries(several).map(([name, content]) => [
      name,
      typeof content === 'string' ? new TextEncoder().encode(content) : content,
    ]),
  );
}

/** What the repository of an entry of the list is like. */
const likeOf = ({ id, kind }: Pick<CatalogueEntry, 'id' | 'kind'>): string =>
  Object.hasOwn(REPOSITORIES, id) ? id : kind;

/** A repository of the hub for each kind. */
const repositoryOf = (kind: Kind) => `someone/${kind.replace(' ', '-')}`;

/** Where a user may have a file of a kind. */
const DOORS: Readonly<Record<string, (kind: Kind) => ImportSource>> = {
  disk: (kind) => ({ from: 'files', files: [{ path: FILE, file: new File([contentOf(kind)], FILE) }] }),
  folder: (kind) => ({
    from: 'files',
    files: [
      { path: `thing/${FILE}`, file: new File([contentOf(kind)], FILE) },
      { path: 'thing/README.md', file: new File(['A card.'], 'README.md') },
    ],
  }),
  address: (kind) => ({ from: 'url', url: `${other.origin}/plain/${repositoryOf(kind)}/-/-/${FILE}` }),
  'file of the hub': (kind) => ({
    from: 'url',
    url: `${hub.origin}/${repositoryOf(kind)}/resolve/main/${FILE}`,
  }),
  'page of a file of the hub': (kind) => ({
    from: 'url',
    url: `${hub.origin}/${repositoryOf(kind)}/blob/main/${FILE}`,
  }),
  'repository of the hub': (kind) => ({ from: 'url', url: `${hub.origin}/${repositoryOf(kind)}` }),
};
const everyDoor = Object.keys(DOORS).flatMap((door) => kinds.map((kind) => ({ door, kind })));

beforeAll(async () => {
  contents = new Map(await Promise.all(kinds.map(async (kind) => [kind, await KINDS[kind]()] as const)));
  app = await serveFolder(path.resolve(import.meta.dirname, '../../../public'));
  const ofCatalogue = await Promise.all(
    catalogue.map(async (entry) => {
      const [, owner, name, , , file = FILE] = new URL(entry.url).pathname.split('/');
      return [`${owner ?? ''}/${name ?? ''}`, { files: await repositoryFiles(likeOf(entry), file) }] as const;
    }),
  );
  const repositories = Object.fromEntries(
    kinds.map((kind) => [
      repositoryOf(kind),
      { files: { [FILE]: contentOf(kind), 'README.md': new Uint8Array(5) } },
    ]),
  );
  other = await serveHub(repositories);
  hub = await serveHub({
    ...repositories,
    ...Object.fromEntries(ofCatalogue),
  });
});

afterAll(async () => {
  await app.close();
  await hub.close();
  await other.close();
});

beforeEach(() => {
  databases++;
  files = openModelFiles(`files-${databases}`);
  imported = openImportedPacks(`packs-${databases}`);
});

const openLibrary = () =>
  createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported,
    base: `${app.origin}/`,
    hub: hub.origin,
    estimate: () => Promise.resolve({}),
  });

/** That a pack is here, with these bytes for its weights. */
async function expectInstalled(id: string, kind: string, content: Uint8Array) {
  const found = (await openLibrary().list()).find(({ pack }) => pack.id === id);
  expect(found?.state.stage).toBe('installed');
  expect(found?.pack.kind).toBe(kind);
  const weights = found?.pack.files.find((file) => file.path.endsWith('.safetensors'));
  expect(weights?.sha256).toBe(sha256(content));
  expect(sha256(await bytesOf(await files.open(id, weights?.path ?? '')))).toBe(sha256(content));
}

const packKind = (kind: Kind) => (kind === 'tiny vae' ? 'vae' : kind);

describe('every kind comes in by every door', () => {
  it.each(everyDoor)('$kind: $door', async ({ door, kind }) => {
    const source = DOORS[door]?.(kind);
    if (!source) throw new Error(`There is no door ${door}.`);
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, () => undefined);
    await expectInstalled(id, packKind(kind), contentOf(kind));
  });

  const remote = everyDoor.filter(({ door }) => door === 'address' || door.includes('hub'));
  it.each(remote)('$kind: $door, after the connection broke and a reload', async ({ door, kind }) => {
    const source = DOORS[door]?.(kind);
    if (!source) throw new Error(`There is no door ${door}.`);
    const { id } = await openLibrary().inspect(source, CPU);
    // Only the download asks for the whole file.
    (door === 'address' ? other : hub).cutOnce(FILE, contentOf(kind).length - 1);
    await expect(
      openLibrary().importPack(source, { storage: 'exact' }, CPU, () => undefined),
    ).rejects.toMatchObject({ code: 'download_failed' });
    await openLibrary().install(id, () => undefined);
    await expectInstalled(id, packKind(kind), contentOf(kind));
  });

  it.each(['address', 'repository of the hub'])('a ControlNet kept as int8: %s', async (door) => {
    const source = DOORS[door]?.('controlnet');
    if (!source) throw new Error(`There is no door ${door}.`);
    const id = await openLibrary().importPack(source, { storage: 'int8' }, CPU, () => undefined);
    const found = (await openLibrary().list()).find(({ pack }) => pack.id === id);
    expect(found?.state.stage).toBe('installed');
    expect(found?.pack.files[0]?.sizeBytes).toBeLessThan(contentOf('controlnet').length);
  });

  // Pipelines of ONNX graphs come as repositories; import.test.ts has one.
  it.each(catalogue.filter(({ needsFloat16 }) => !needsFloat16).map((entry) => [entry.id, entry] as const))(
    'the catalogue: %s',
    async (_, entry) => {
      const url = entry.url.replace('https://huggingface.co', hub.origin);
      const id = await openLibrary().importPack(
        { from: 'url', url },
        { storage: 'exact' },
        CPU,
        () => undefined,
      );
      const found = (await openLibrary().list()).find(({ pack }) => pack.id === id);
      expect(found).toMatchObject({ state: { stage: 'installed' }, pack: { kind: entry.kind } });
      const given = Object.values(await repositoryFiles(likeOf(entry), FILE)).map(sha256);
      // A checkpoint's tokenizer is the app's own.
      const places = found?.pack.files.map(({ path: place }) => place) ?? [];
      for (const place of places.filter((each) => !each.startsWith('tokenizer/'))) {
        expect(given).toContain(sha256(await bytesOf(await files.open(id, place))));
      }
    },
  );
});

it('an import of an earlier version that did not keep its address goes on when it is added again', async () => {
  const source = DOORS['address']?.('lora');
  if (!source) throw new Error('There is no such door.');
  other.cutOnce(FILE, 2000);
  const add = () => openLibrary().importPack(source, { storage: 'exact' }, CPU, () => undefined);
  await expect(add()).rejects.toMatchObject({ code: 'download_failed' });
  const record = await imported.get('thing');
  if (!record) throw new Error('The import left no record.');
  const withoutAddress = record.pack.files.map(({ path: place, sizeBytes, sha256: hash }) => ({
    path: place,
    sizeBytes,
    sha256: hash,
  }));
  await imported.put({ ...record, pack: { ...record.pack, files: withoutAddress } });
  await expect(openLibrary().install('thing', () => undefined)).rejects.toMatchObject({
    message: expect.stringContaining('Add it by its address again') as string,
  });
  await add();
  await expectInstalled('thing', 'lora', contentOf('lora'));
});
