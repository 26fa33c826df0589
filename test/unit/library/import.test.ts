import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { onnx } from 'onnx-proto';
import { buildAutoencoderKlDecoder } from '#engine/architectures/autoencoder-kl.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { openCheckpoint, type Component } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { storageOf } from '#weights/quantise.ts';
import { openSafetensors, writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { ImportSource } from '#protocol/import.ts';
import type { OnPackState } from '#protocol/library-worker.ts';
import type { AnyPack, ModelPack, ModelState } from '#protocol/model.ts';
import { openModelFiles, type ModelFiles } from '#storage/model-files.ts';
import { openImportedPacks, type ImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildEmoji, readEmoji } from '../../support/emoji-weights.ts';
import { COMMIT, serveHub, type HubServer } from '../../support/hub-server.ts';
import { serveFolder, type StaticServer } from '../../support/server.ts';
import { joinSources, randomTensors, tensorsOf } from '../../support/random-weights.ts';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';
import { clipVisionTensors, ipAdapterTensors } from '../../support/tiny-image-prompt.ts';
import { fileOf } from '../../support/tiny-packs.ts';

const CPU: BackendInfo = { provider: 'wasm', build: 'wasm', description: 'CPU', float16: false };
const LICENCE = 'creativeml-openrail-m';
const REPOSITORY = 'someone/tiny-diffusion';

let bytes: Uint8Array<ArrayBuffer>;
let pipeline: Record<string, Uint8Array>;
let app: StaticServer;
let hub: HubServer;
let files: ModelFiles;
let imported: ImportedPacks;
let told: { pack: AnyPack; state: ModelState }[];
let quota: StorageEstimate;
let databases = 0;

const tell: OnPackState = (pack, state) => void told.push({ pack, state });
const bytesOf = async (blob: Blob | undefined) =>
  new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer(0));
/** For comparing: an assertion on millions of numbers takes minutes. */
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A network as its own file, as diffusers saves it. */
async function saveNetwork(network: TensorSource | undefined): Promise<Uint8Array> {
  const parts: BlobPart[] = [];
  if (network) for await (const part of writeSafetensors(network)) parts.push(part);
  return bytesOf(new Blob(parts));
}

beforeAll(async () => {
  bytes = await bytesOf(await tinyCheckpoint({ vocabulary: 100 }));
  const { components } = openCheckpoint(await openSafetensors(new Blob([bytes]), 'tiny'));
  pipeline = {
    'README.md': new TextEncoder().encode('A card.'),
    'model_index.json': json({ _class_name: 'StableDiffusionPipeline' }),
    'scheduler/scheduler_config.json': json({
      _class_name: 'DDIMScheduler',
      prediction_type: 'v_prediction',
    }),
    'unet/diffusion_pytorch_model.safetensors': await saveNetwork(components.get('unet')),
    'unet/diffusion_pytorch_model.fp16.safetensors': new Uint8Array(1000),
    'vae/diffusion_pytorch_model.safetensors': await saveNetwork(components.get('vae')),
    'text_encoder/model.safetensors': await saveNetwork(components.get('text_encoder')),
  };
  app = await serveFolder(path.resolve(import.meta.dirname, '../../../public'));
  hub = await serveHub({
    [REPOSITORY]: { files: { ...pipeline, 'tiny.safetensors': bytes }, card: { license: LICENCE } },
    'someone/gated': { files: {}, status: 401 },
    'someone/busy': { files: {}, status: 429 },
    'microsoft/tiny-webnn': {
      files: { 'text-encoder.onnx': new Uint8Array(10), 'unet-fixed.onnx': new Uint8Array(10) },
    },
  });
});

afterAll(async () => {
  await app.close();
  await hub.close();
});

beforeEach(() => {
  databases++;
  files = openModelFiles(`files-${databases}`);
  imported = openImportedPacks(`packs-${databases}`);
  told = [];
  quota = {};
});

const openLibrary = () =>
  createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported,
    base: `${app.origin}/`,
    hub: hub.origin,
    estimate: () => Promise.resolve(quota),
  });

/** A file on a slow disk: its bytes come a megabyte at a time, so that there is time to stop. */
class SlowFile extends File {
  override slice(start?: number, end?: number): Blob {
    const part = super.slice(start, end);
    let at = 0;
    const stream = () =>
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 30));
          controller.enqueue(new Uint8Array(await part.slice(at, at + 1e6).arrayBuffer()));
          at += 1e6;
          if (at >= part.size) controller.close();
        },
      });
    return Object.assign(part, { stream });
  }
}

const drop = (name: string, content: BlobPart = bytes): ImportSource => ({
  from: 'files',
  files: [{ path: name, file: new File([content], name) }],
});
const dropSlowly = (): ImportSource => ({
  from: 'files',
  files: [{ path: 'tiny.safetensors', file: new SlowFile([bytes], 'tiny.safetensors') }],
});
const fromHub = (rest: string): ImportSource => ({ from: 'url', url: `${hub.origin}/${rest}` });
const pathsOf = (pack: AnyPack | undefined) => pack?.files.map((file) => file.path).toSorted();

async function listed(id: string) {
  return (await openLibrary().list()).find(({ pack }) => pack.id === id);
}

async function modelOf(id: string): Promise<ModelPack> {
  const pack = (await listed(id))?.pack;
  if (pack?.kind !== 'model') throw new Error(`${id} is no model.`);
  return pack;
}

/** A library whose import is cancelled when its state is the first of these. */
async function importUntil(
  source: ImportSource,
  storage: 'exact' | 'int8',
  id: string,
  stop: (state: ModelState) => boolean,
) {
  const library = openLibrary();
  await expect(
    library.importPack(source, { storage }, CPU, (pack, state) => {
      tell(pack, state);
      if (stop(state)) library.cancel(id);
    }),
  ).rejects.toMatchObject({ code: 'cancelled' });
}

describe('inspecting a file', () => {
  it('tells what a checkpoint is and what it costs, and keeps nothing', async () => {
    const offer = await openLibrary().inspect(drop('My tiny model (v1).safetensors'), CPU);
    expect(offer).toMatchObject({
      id: 'My tiny model (v1)',
      title: 'My tiny model (v1)',
      kind: 'model',
      family: 'sd1',
      format: 'safetensors',
      summary: 'SD 1 checkpoint, float16, 9 million parameters',
      type: 'float16',
      prediction: { type: 'epsilon', certain: true },
      licence: { name: 'unknown' },
      files: [{ path: 'checkpoint.safetensors', sizeBytes: bytes.length, sha256: null }],
      warnings: [],
      problem: null,
    });
    expect(offer.options.map((option) => option.storage)).toEqual(['exact', 'int8', 'int4']);
    const [exact, int8, int4] = offer.options;
    // Besides the file, the tokenizer.
    expect(exact?.sizeBytes).toBe(bytes.length + 524_619);
    expect(int8?.sizeBytes).toBeLessThan(exact?.sizeBytes ?? 0);
    expect(int4?.sizeBytes).toBeLessThan(int8?.sizeBytes ?? 0);
    expect(int4?.memoryBytes).toBeLessThan(exact?.memoryBytes ?? 0);
    expect(await imported.all()).toEqual([]);
  });

  it('needs half the memory where the GPU computes in float16', async () => {
    const gpu: BackendInfo = { provider: 'webgpu', build: 'jspi', description: 'GPU', float16: true };
    const onCpu = await openLibrary().inspect(drop('a.safetensors'), CPU);
    const onGpu = await openLibrary().inspect(drop('a.safetensors'), gpu);
    const saved = (onCpu.options[0]?.memoryBytes ?? 0) - (onGpu.options[0]?.memoryBytes ?? 0);
    // Parameters the networks use: all but the noise schedule and the position numbers.
    expect(saved).toBe(2 * ((onCpu.parameters ?? 0) - 1000 - 77));
  });

  it('takes the licence from the file', async () => {
    const stated = await tinyCheckpoint({
      vocabulary: 100,
      metadata: { 'modelspec.license': 'CC BY-NC 4.0, non-commercial' },
    });
    const offer = await openLibrary().inspect(drop('a.safetensors', stated), CPU);
    expect(offer.licence).toEqual({ name: 'CC BY-NC 4.0, non-commercial', nonCommercial: true });
  });

  it.each([
    [[], { prediction_type: 'epsilon' }],
    [['v_pred'], { prediction_type: 'v_prediction' }],
    [['v_pred', 'ztsnr'], { prediction_type: 'v_prediction', rescale_betas_zero_snr: true }],
  ])('sets the noise schedule by the marks %j', async (marks, expected) => {
    const empty = tensorsOf(
      Object.fromEntries(marks.map((name) => [name, { shape: [0], data: new Float32Array(0) }])),
    );
    const checkpoint = await openSafetensors(new Blob([bytes]), 'tiny');
    const source = drop('marked.safetensors', await fileOf(joinSources(checkpoint, empty)));
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, tell);
    const config = (await modelOf(id)).configs?.['scheduler/scheduler_config.json'];
    expect(config).toMatchObject(expected);
    expect(config?.['rescale_betas_zero_snr'] ?? false).toBe(marks.includes('ztsnr'));
  });

  it('says of marks it does not know how to follow that it cannot', async () => {
    const edm = tensorsOf({ edm_mean: { shape: [4], data: new Float32Array(4) } });
    const checkpoint = await openSafetensors(new Blob([bytes]), 'tiny');
    const source = drop('playground.safetensors', await fileOf(joinSources(checkpoint, edm)));
    expect((await openLibrary().inspect(source, CPU)).problem).toContain('Playground 2.5');
  });

  it('warns of checkpoints for inpainting', async () => {
    const offer = await openLibrary().inspect(
      drop('a.safetensors', await tinyCheckpoint({ vocabulary: 100, inputChannels: 9 })),
      CPU,
    );
    expect(offer).toMatchObject({
      kind: 'model',
      problem: null,
      warnings: [expect.stringContaining('masked')],
    });
  });

  it.each([
    ['model.ckpt', 'pickle'],
    ['model.gguf', 'GGUF'],
    ['model.zip', 'archive'],
  ])('refuses %s, with the reason', async (name, reason) => {
    const offer = await openLibrary().inspect(drop(name, new Uint8Array(100)), CPU);
    expect(offer).toMatchObject({ options: [], problem: expect.stringContaining(reason) as string });
    await expect(
      openLibrary().importPack(drop(name, new Uint8Array(100)), { storage: 'exact' }, CPU, tell),
    ).rejects.toMatchObject({ code: 'unsupported_feature' });
    expect(await imported.all()).toEqual([]);
  });

  it('refuses a pickle that is called otherwise', async () => {
    const pickle = Uint8Array.from([0x80, 0x02, 0x7d, 0x71, 0x00, 0x58, 0, 0, 0, 0, 0, 0]);
    const offer = await openLibrary().inspect(drop('model.safetensors', pickle), CPU);
    expect(offer.problem).toContain('pickle');
  });

  it('says of a damaged file that it is damaged', async () => {
    await expect(
      openLibrary().inspect(drop('a.safetensors', bytes.subarray(0, 50_000)), CPU),
    ).rejects.toMatchObject({
      code: 'integrity_failed',
    });
  });

  it('says of a UNet that it is not a whole model', async () => {
    const unet = pipeline['unet/diffusion_pytorch_model.safetensors'] ?? bytes;
    const offer = await openLibrary().inspect(drop('unet.safetensors', Uint8Array.from(unet)), CPU);
    expect(offer).toMatchObject({
      family: 'sd1',
      options: [],
      problem: expect.stringContaining('UNet') as string,
    });
  });
});

describe('importing from the disk', () => {
  it('copies a checkpoint and completes its pack', async () => {
    const id = await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell);
    expect(id).toBe('tiny');
    const pack = await modelOf(id);
    expect((await listed(id))?.state).toMatchObject({ stage: 'installed' });
    expect(pathsOf(pack)).toEqual(['checkpoint.safetensors', 'tokenizer/merges.txt']);
    expect(pack.files.find((file) => file.path === 'checkpoint.safetensors')?.sha256).toBe(sha256(bytes));
    expect(sha256(await bytesOf(await files.open(id, 'checkpoint.safetensors')))).toBe(sha256(bytes));
    expect(pack).toMatchObject({
      family: 'sd1',
      weights: 'safetensors',
      trainedSizes: [[512, 512]],
      latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
      defaults: { width: 512, height: 512, guidanceScale: 7 },
    });
    expect(pack.configs).toMatchObject({
      'unet/config.json': { cross_attention_dim: 768, block_out_channels: [32, 64, 64, 64] },
      'vae/config.json': { latent_channels: 4, scaling_factor: 0.18215 },
      'text_encoder/config.json': { hidden_size: 768 },
      'scheduler/scheduler_config.json': { beta_start: 0.00085, prediction_type: 'epsilon' },
    });
    expect(told.at(-1)?.pack).toEqual(pack);
    const received = told.flatMap(({ state }) => (state.stage === 'downloading' ? state.receivedBytes : []));
    expect(received).toEqual(received.toSorted((a, b) => a - b));
  });

  it('quantises without keeping the original', async () => {
    const offer = await openLibrary().inspect(drop('tiny.safetensors'), CPU);
    const id = await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'int8' }, CPU, tell);
    const pack = await modelOf(id);
    expect(pathsOf(pack)).toEqual([
      'text_encoder/model.safetensors',
      'tokenizer/merges.txt',
      'unet/model.safetensors',
      'vae/model.safetensors',
    ]);
    const sizes = pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    expect(sizes).toBe(offer.options.find(({ storage }) => storage === 'int8')?.sizeBytes);
    for (const file of pack.files)
      expect(sha256(await bytesOf(await files.open(id, file.path)))).toBe(file.sha256);
    const unet = await openSafetensors(
      (await files.open(id, 'unet/model.safetensors')) ?? new Blob(),
      'unet',
    );
    expect(storageOf(unet, 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight')).toBe(
      'int8-blocks',
    );
    expect(storageOf(unet, 'mid_block.resnets.0.conv1.weight')).toBe('int8-channels');
    expect(openCheckpoint(unet).components.has('unet')).toBe(true);
    const done = told.flatMap(({ state }) => (state.stage === 'quantising' ? state.doneBytes : []));
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(await files.stored(id, 'checkpoint.safetensors')).toBeUndefined();
  });

  it('goes on when the same file is dropped again', async () => {
    await importUntil(
      dropSlowly(),
      'exact',
      'tiny',
      (state) => state.stage === 'downloading' && state.receivedBytes > 6e6,
    );
    expect((await listed('tiny'))?.state).toMatchObject({
      stage: 'failed',
      message: 'The import is not complete. Drop tiny here again to go on.',
    });
    await expect(openLibrary().install('tiny', tell)).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining('Drop it here again') as string,
    });
    const kept = (await files.stored('tiny', 'checkpoint.safetensors'))?.pieceBytes.length ?? 0;
    expect(kept).toBeGreaterThan(0);

    expect((await openLibrary().inspect(drop('renamed.safetensors'), CPU)).id).toBe('tiny');
    const id = await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell);
    expect(id).toBe('tiny');
    expect((await files.stored('tiny', 'checkpoint.safetensors'))?.pieceBytes.length).toBeGreaterThan(kept);
    expect(sha256(await bytesOf(await files.open('tiny', 'checkpoint.safetensors')))).toBe(sha256(bytes));
  });

  it('gives another file of the same name another id', async () => {
    await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell);
    const other = bytes.slice();
    other.fill(1, other.length >> 1);
    const id = await openLibrary().importPack(
      drop('tiny.safetensors', other),
      { storage: 'exact' },
      CPU,
      tell,
    );
    expect(id).toBe('tiny-2');
    expect(sha256(await bytesOf(await files.open('tiny', 'checkpoint.safetensors')))).toBe(sha256(bytes));
    expect(sha256(await bytesOf(await files.open('tiny-2', 'checkpoint.safetensors')))).toBe(sha256(other));
  });

  it('begins the network again that was being quantised, and keeps those that were done', async () => {
    await importUntil(
      drop('tiny.safetensors'),
      'int8',
      'tiny',
      (state) => state.stage === 'quantising' && state.doneBytes > 0,
    );
    expect((await listed('tiny'))?.state.stage).toBe('failed');
    await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'int8' }, CPU, tell);
    expect((await listed('tiny'))?.state.stage).toBe('installed');
    const unet = await openSafetensors(
      (await files.open('tiny', 'unet/model.safetensors')) ?? new Blob(),
      'unet',
    );
    expect([...unet.names()].length).toBeGreaterThan(400);
  });

  it('takes what the user says of its prediction', async () => {
    const id = await openLibrary().importPack(
      drop('tiny.safetensors'),
      { storage: 'exact', prediction: 'v_prediction' },
      CPU,
      tell,
    );
    expect((await modelOf(id)).configs?.['scheduler/scheduler_config.json']).toMatchObject({
      prediction_type: 'v_prediction',
    });
  });

  it('refuses before the first byte where there is no room, with numbers', async () => {
    quota = { quota: 10e6, usage: 4e6 };
    await expect(
      openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell),
    ).rejects.toMatchObject({
      code: 'storage_full',
      message: expect.stringContaining('6 MB left') as string,
      detail: { freeBytes: 6e6 },
    });
    expect(await imported.all()).toEqual([]);
  });

  it('says what is missing where storage runs out on the way, and goes on when there is room', async () => {
    const other = await tinyCheckpoint({ vocabulary: 101 });
    await openLibrary().importPack(drop('other.safetensors', other), { storage: 'exact' }, CPU, tell);
    let pieces = 0;
    const full: ModelFiles = {
      ...files,
      append(...piece) {
        // As browsers do it, whatever they estimated before.
        if (++pieces > 3) throw new DOMException('Quota exceeded.', 'QuotaExceededError');
        return files.append(...piece);
      },
    };
    const library = createLibrary({
      packs: [packs['emoji-mini']],
      files: full,
      imported,
      base: `${app.origin}/`,
      // Chromium's estimate, after it refused as well as before.
      estimate: () => Promise.resolve({ quota: 10.8e9, usage: 0.1e9 }),
    });
    const importing = library.importPack(dropSlowly(), { storage: 'exact' }, CPU, tell);
    await expect(importing).rejects.toMatchObject({
      code: 'storage_full',
      message: expect.stringMatching(
        /refused to store more; \d+ MB of tiny are missing.*try again/,
      ) as string,
    });
    await expect(importing).rejects.not.toMatchObject({ message: expect.stringContaining('GB') as string });
    expect(told.at(-1)?.state).toMatchObject({ stage: 'failed' });
    expect((await listed('other'))?.state.stage).toBe('installed');
    expect((await files.open('other', 'checkpoint.safetensors'))?.size).toBe(other.size);
    const kept = await files.received('tiny', 'checkpoint.safetensors');
    expect(kept?.size).toBeGreaterThanOrEqual(4e6);
    await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell);
    expect((await listed('tiny'))?.state.stage).toBe('installed');
  });

  it('removes record and files', async () => {
    const id = await openLibrary().importPack(drop('tiny.safetensors'), { storage: 'exact' }, CPU, tell);
    await openLibrary().remove(id);
    expect(await listed(id)).toBeUndefined();
    expect(await files.stored(id, 'checkpoint.safetensors')).toBeUndefined();
  });

  it('imports a folder in the layout of diffusers, whose configuration it keeps', async () => {
    const source: ImportSource = {
      from: 'files',
      files: Object.entries(pipeline).map(([name, content]) => ({
        path: `tiny-folder/${name}`,
        file: new File([Uint8Array.from(content)], name),
      })),
    };
    const offer = await openLibrary().inspect(source, CPU);
    expect(offer).toMatchObject({
      id: 'tiny-folder',
      kind: 'model',
      summary: 'SD 1 pipeline, float16, 9 million parameters',
      prediction: { type: 'v_prediction', certain: true },
    });
    // Of two precisions of the UNet one is taken.
    expect(offer.files.map((file) => file.path)).toEqual([
      'unet/diffusion_pytorch_model.safetensors',
      'vae/diffusion_pytorch_model.safetensors',
      'text_encoder/model.safetensors',
    ]);
    for (const storage of ['exact', 'int4'] as const) {
      const id = await openLibrary().importPack(source, { storage }, CPU, tell);
      expect((await listed(id))?.state.stage).toBe('installed');
      expect((await modelOf(id)).configs?.['scheduler/scheduler_config.json']).toEqual({
        _class_name: 'DDIMScheduler',
        prediction_type: 'v_prediction',
      });
    }
  });

  it('says which network a folder lacks', async () => {
    const { 'vae/diffusion_pytorch_model.safetensors': vae, ...rest } = pipeline;
    expect(vae).toBeDefined();
    const source: ImportSource = {
      from: 'files',
      files: Object.entries(rest).map(([name, content]) => ({
        path: name,
        file: new File([Uint8Array.from(content)], name),
      })),
    };
    expect((await openLibrary().inspect(source, CPU)).problem).toContain('no weights for vae');
  });
});

describe('importing from the hub', () => {
  it('reads a header without the file', async () => {
    const before = hub.requests.length;
    const offer = await openLibrary().inspect(fromHub(`${REPOSITORY}/blob/main/tiny.safetensors`), CPU);
    expect(offer).toMatchObject({
      id: 'tiny',
      kind: 'model',
      licence: { name: 'CreativeML OpenRAIL-M', url: `${hub.origin}/${REPOSITORY}` },
      files: [{ path: 'checkpoint.safetensors', sha256: sha256(bytes) }],
      problem: null,
    });
    const reads = hub.requests.slice(before).filter(({ path: asked }) => asked.startsWith('/cdn/'));
    expect(reads.length).toBeGreaterThan(0);
    expect(reads.every(({ status }) => status === 206)).toBe(true);
  });

  it('brings a file from the commit it was found at, and goes on after a cut by install()', async () => {
    hub.cutOnce('tiny.safetensors', 5_000_000);
    const source = fromHub(`${REPOSITORY}/resolve/main/tiny.safetensors?download=true`);
    await expect(openLibrary().importPack(source, { storage: 'exact' }, CPU, tell)).rejects.toMatchObject({
      code: 'download_failed',
    });
    expect((await listed('tiny'))?.state).toMatchObject({
      stage: 'failed',
      message: 'The download is not complete.',
    });
    await openLibrary().install('tiny', tell);
    const last = hub.requests.at(-1);
    expect(last?.range).toMatch(/^bytes=[1-9]\d+-$/);
    expect(hub.requests.at(-2)?.path).toBe(`/${REPOSITORY}/resolve/${COMMIT}/tiny.safetensors`);
    expect(sha256(await bytesOf(await files.open('tiny', 'checkpoint.safetensors')))).toBe(sha256(bytes));
  });

  it('quantises after the download, and drops what was downloaded', async () => {
    const id = await openLibrary().importPack(fromHub(REPOSITORY), { storage: 'int8' }, CPU, tell);
    expect(id).toBe('tiny-diffusion');
    expect((await listed(id))?.state.stage).toBe('installed');
    const pack = await modelOf(id);
    expect(pathsOf(pack)).toContain('unet/model.safetensors');
    for (const name of ['unet/diffusion_pytorch_model', 'text_encoder/model'])
      expect(await files.stored(id, `source/${name}.safetensors`)).toBeUndefined();
    expect((await imported.get(id))?.sources).toEqual([]);
    expect(pack.credits).toContain(REPOSITORY);
  });

  it('goes on with quantising by install() after a reload', async () => {
    await importUntil(fromHub(REPOSITORY), 'int8', 'tiny-diffusion', (state) => state.stage === 'quantising');
    const before = hub.requests.length;
    await openLibrary().install('tiny-diffusion', tell);
    expect((await listed('tiny-diffusion'))?.state.stage).toBe('installed');
    expect(hub.requests.slice(before)).toEqual([]);
  });

  it.each([
    ['someone/gated', 'wants a login'],
    ['someone/missing', 'wants a login'],
    ['someone/busy', 'Wait some minutes'],
  ])('says what to do about %s', async (repository, advice) => {
    await expect(openLibrary().inspect(fromHub(repository), CPU)).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining(advice) as string,
    });
  });

  it('says of graphs made for one program that they are not in the layout of diffusers', async () => {
    const offer = await openLibrary().inspect(fromHub('microsoft/tiny-webnn'), CPU);
    expect(offer).toMatchObject({
      format: 'onnx',
      problem: expect.stringContaining('layout of diffusers') as string,
    });
  });

  it.each(['ftp://example.com/a', 'http://example.com/a.safetensors', 'nonsense', ''])(
    'refuses the address “%s”',
    async (url) => {
      await expect(openLibrary().inspect({ from: 'url', url }, CPU)).rejects.toMatchObject({
        code: 'invalid_request',
      });
    },
  );

  it('says so where nobody answers', async () => {
    const source: ImportSource = { from: 'url', url: 'http://localhost:9/a.safetensors' };
    await expect(openLibrary().inspect(source, CPU)).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining('Nothing answers at localhost:9') as string,
    });
  });
});

describe('importing add-ons', () => {
  it.each([
    ['lora-kohya.safetensors', 'lora', 'LoRA'],
    ['autoencoder-tiny/diffusion_pytorch_model.safetensors', 'vae', 'Tiny VAE'],
    ['autoencoder-kl/diffusion_pytorch_model.safetensors', 'vae', 'VAE'],
  ])('knows %s', async (fixture, kind, title) => {
    const content = Uint8Array.from(
      await readFile(path.resolve(import.meta.dirname, '../../fixtures/models', fixture)),
    );
    const source = drop('my add-on.safetensors', content);
    const offer = await openLibrary().inspect(source, CPU);
    expect(offer).toMatchObject({ id: 'my add-on', kind, problem: null, prediction: null });
    expect(offer.summary).toContain(title);
    expect(offer.options.map(({ storage, sizeBytes }) => [storage, sizeBytes])).toEqual([
      ['exact', content.length],
    ]);
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, tell);
    const found = await listed(id);
    expect(found?.state.stage).toBe('installed');
    expect(found?.pack).toMatchObject({
      kind,
      files: [{ path: 'model.safetensors', sha256: sha256(content) }],
    });
  });
});

describe('importing the inpaint patch of Fooocus', () => {
  const fixture = (name: string) =>
    readFile(path.resolve(import.meta.dirname, '../../fixtures/fooocus-inpaint', name));
  const [HEAD, PATCH] = ['fooocus_inpaint_head.pth', 'inpaint_v26.fooocus.patch'];

  it.each([
    [HEAD, HEAD, 'head', 'sdxl', 'Head of Fooocus’ inpaint patch, 720 parameters', []],
    [PATCH, PATCH, 'v2.6', null, 'Fooocus’ inpaint patch v2.6, 14 thousand parameters', []],
    [PATCH, 'inpaint.fooocus.patch', 'v1', null, 'Fooocus’ inpaint patch v1, 14 thousand parameters', []],
    [
      PATCH,
      'mine.patch',
      'v2.6',
      null,
      'Fooocus’ inpaint patch, 14 thousand parameters',
      [expect.any(String)],
    ],
  ])('keeps %s, called %s, as it is', async (from, name, network, family, summary, warnings) => {
    const content = new Uint8Array(await fixture(from));
    const library = openLibrary();
    const source = drop(name, content);
    const offer = await library.inspect(source, CPU);
    expect(offer).toMatchObject({
      kind: 'inpaint-patch',
      format: 'torch',
      problem: null,
      summary,
      warnings,
    });
    const id = await library.importPack(source, { storage: 'exact' }, CPU, tell);
    const pack = (await listed(id))?.pack;
    expect(pack).toMatchObject({ kind: 'inpaint-patch', network, family });
    const [file] = pack?.files ?? [];
    expect(file?.sha256).toBe(sha256(content));
    expect(sha256(await bytesOf(await files.open(id, file?.path ?? '')))).toBe(sha256(content));
  });

  it('refuses other files of PyTorch, and damaged ones', async () => {
    const zipped = new Uint8Array(await fixture(HEAD));
    await expect(openLibrary().inspect(drop('a.pth', zipped.slice(0, 3000)), CPU)).rejects.toMatchObject({
      code: 'integrity_failed',
    });
    const pickled = Uint8Array.of(0x80, 2, 0x4e, 0x2e);
    expect(await openLibrary().inspect(drop('a.pth', pickled), CPU)).toMatchObject({
      problem: expect.stringContaining('pickle') as string,
    });
    expect(await openLibrary().inspect(drop('a.patch', pickled), CPU)).toMatchObject({
      problem: expect.stringContaining('not a patch') as string,
    });
  });
});

describe('importing image prompts', () => {
  it.each([
    ['plain', 'SD 1 IP-Adapter', 'ip-adapter', { embedding: 1024 }],
    ['plus', 'SD 1 IP-Adapter', 'ip-adapter', { patch: 1024 }],
    ['full', 'SD 1 IP-Adapter', 'ip-adapter', { patch: 1024 }],
    ['vision', 'CLIP vision model', 'clip-vision', { embedding: 48, patch: 64 }],
  ] as const)('knows what fits each other: %s', async (layout, summary, kind, vision) => {
    const tensors =
      layout === 'vision'
        ? clipVisionTensors()
        : ipAdapterTensors(layout, { input: 1024, context: 768, attentions: [32] });
    const source = drop('images.safetensors', await fileOf(tensors));
    const offer = await openLibrary().inspect(source, CPU);
    expect(offer).toMatchObject({ kind, problem: null });
    expect(offer.summary).toContain(summary);
    expect(offer.options[0]?.storage).toBe('exact');
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, tell);
    expect((await listed(id))?.pack).toMatchObject({ kind, vision });
  });

  it('keeps a CLIP vision model smaller where that is chosen', async () => {
    const source = drop('large.safetensors', await fileOf(clipVisionTensors({ width: 256 })));
    const offer = await openLibrary().inspect(source, CPU);
    expect(offer.options.map(({ storage }) => storage)).toContain('int8');
    const id = await openLibrary().importPack(source, { storage: 'int8' }, CPU, tell);
    expect((await listed(id))?.pack.files).toMatchObject([{ path: 'model.safetensors' }]);
  });

  it('refuses IP-Adapters for other families, and those that need another network', async () => {
    const other = drop('other.safetensors', await fileOf(ipAdapterTensors('plain', { context: 100 })));
    expect((await openLibrary().inspect(other, CPU)).problem).toBe(
      'It is for a family of models this engine does not run.',
    );
    const lora = tensorsOf(randomTensors({ 'ip_adapter.0.to_q_lora.down.weight': [4, 8] }));
    const faceId = await fileOf(joinSources(ipAdapterTensors('plain', { context: 768 }), lora));
    expect((await openLibrary().inspect(drop('face.safetensors', faceId), CPU)).problem).toContain('FaceID');
  });
});

/** A graph that has another name for the file of its weights. */
function renameWeights(graph: Uint8Array, location: string): Uint8Array {
  const model = onnx.ModelProto.decode(graph);
  for (const { externalData } of model.graph?.initializer ?? []) {
    for (const entry of externalData ?? []) if (entry.key === 'location') entry.value = location;
  }
  return onnx.ModelProto.encode(model).finish();
}

describe('importing ONNX pipelines', () => {
  /** Graphs that keep their float16 weights in a file beside them. */
  async function onnxPipeline(): Promise<Record<string, Uint8Array>> {
    const { components } = openCheckpoint(await openSafetensors(new Blob([bytes]), 'model.onnx_data'));
    const weightsOf = (component: Component) => {
      const weights = components.get(component);
      if (!weights) throw new Error(`There is no ${component}.`);
      return { config: inferConfig(component, weights), weights };
    };
    const [unet, text, vae] = [weightsOf('unet'), weightsOf('text_encoder'), weightsOf('vae')];
    const graphs = {
      unet: buildUnet2dCondition(unet.config, unet),
      text_encoder: buildClipText(text.config, text),
      vae_decoder: buildAutoencoderKlDecoder(vae.config, vae),
    };
    return Object.fromEntries(
      Object.entries(graphs).flatMap(([folder, graph]) => [
        [`${folder}/model.onnx`, graph.model],
        [`${folder}/model.onnx_data`, bytes],
      ]),
    );
  }

  it('brings graphs with the files beside them, and what the repository lacks', async () => {
    const server = await serveHub({ 'someone/tiny-onnx': { files: await onnxPipeline() } });
    const library = createLibrary({
      packs: [packs['emoji-mini']],
      files,
      imported,
      base: `${app.origin}/`,
      hub: server.origin,
      estimate: () => Promise.resolve(quota),
    });
    const source: ImportSource = { from: 'url', url: `${server.origin}/someone/tiny-onnx` };
    const offer = await library.inspect(source, CPU);
    expect(offer).toMatchObject({
      kind: 'model',
      family: 'sd1',
      format: 'onnx',
      type: 'float16',
      problem: null,
    });
    expect(offer.options.map(({ storage }) => storage)).toEqual(['exact']);
    const id = await library.importPack(source, { storage: 'exact' }, CPU, tell);
    const pack = await modelOf(id);
    expect(pack.weights).toBe('onnx');
    expect(pathsOf(pack)).toEqual([
      'text_encoder/model.onnx',
      'text_encoder/model.onnx_data',
      'tokenizer/merges.txt',
      'unet/model.onnx',
      'unet/model.onnx_data',
      'vae_decoder/model.onnx',
      'vae_decoder/model.onnx_data',
    ]);
    expect(pack.configs?.['scheduler/scheduler_config.json']).toMatchObject({
      beta_schedule: 'scaled_linear',
    });

    const withoutHalf: BackendInfo = {
      provider: 'webgpu',
      build: 'jspi',
      description: 'GPU',
      float16: false,
    };
    expect((await library.inspect(source, withoutHalf)).problem).toContain('shader-f16');
    await server.close();
  });

  it.each([
    ['./weights.pb', 'weights.pb'],
    ['data\\weights.pb', 'data/weights.pb'],
    ['../shared.bin', null],
    ['x/.././weights', 'weights'],
  ])('finds weights under the name %s', async (location, place) => {
    const graphs = await onnxPipeline();
    const renamed = Object.entries(graphs).flatMap(([name, content]) => {
      const folder = name.split('/')[0] ?? '';
      if (name.endsWith('.onnx')) return [[name, renameWeights(content, location)] as const];
      const path = place === null ? 'shared.bin' : `${folder}/${place}`;
      return [[path, content] as const];
    });
    const dropped = [...new Map(renamed)].map(([name, content]) => ({
      path: name,
      file: new File([Uint8Array.from(content)], name),
    }));
    const source: ImportSource = { from: 'files', files: dropped };
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, tell);
    const path = place === null ? 'shared.bin' : `unet/${place}`;
    expect(pathsOf(await modelOf(id))).toContain(path);
    expect((await files.open(id, path))?.size).toBe(bytes.length);
    // What is missing is called as the graph calls it.
    const lacking = { ...source, files: dropped.filter((file) => file.path !== path) };
    expect((await openLibrary().inspect(lacking, CPU)).problem).toContain(`“${location}” (${path})`);
  });

  it('says which file is missing', async () => {
    const { 'unet/model.onnx_data': weights, ...rest } = await onnxPipeline();
    expect(weights).toBeDefined();
    const source: ImportSource = {
      from: 'files',
      files: Object.entries(rest).map(([name, content]) => ({
        path: name,
        file: new File([Uint8Array.from(content)], name),
      })),
    };
    expect((await openLibrary().inspect(source, CPU)).problem).toContain('unet/model.onnx_data');
  });

  it('does not take the built-in model’s UNet, which reads the size as SDXL’s does, for SDXL', async () => {
    const unet = buildEmoji('unet', await readEmoji('unet', 'int8'));
    const graphs = { ...(await onnxPipeline()), 'unet/model.onnx': unet.model };
    const source: ImportSource = {
      from: 'files',
      files: [...Object.entries(graphs), [`unet/${unet.generated?.path ?? ''}`, bytes] as const].map(
        ([name, content]) => ({ path: name, file: new File([Uint8Array.from(content)], name) }),
      ),
    };
    expect(await openLibrary().inspect(source, CPU)).toMatchObject({
      family: null,
      problem: 'It is not known which family of models its UNet belongs to.',
    });
  });
});

describe('importing from any other server', () => {
  it.each([true, false])('finds size and header (ranges: %s)', async (ranges) => {
    const server = await serveHub({ [REPOSITORY]: { files: { 'tiny.safetensors': bytes } } });
    if (!ranges) server.ignoreRanges();
    const source: ImportSource = {
      from: 'url',
      url: `${server.origin}/plain/${REPOSITORY}/-/-/tiny.safetensors`,
    };
    expect(await openLibrary().inspect(source, CPU)).toMatchObject({ kind: 'model', problem: null });
    const id = await openLibrary().importPack(source, { storage: 'exact' }, CPU, tell);
    expect((await modelOf(id)).files.at(-1)?.sha256).toBe(sha256(bytes));
    await server.close();
  });
});
