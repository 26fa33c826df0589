import { expose, wrap, type Remote } from 'comlink';
import { createEngineHost } from '#host/host.ts';
import { readSpeed } from '#protocol/device-speed.ts';
import type { HostEvent } from '#protocol/engine-host.ts';
import { visionNetworks } from '#library/packs/vision.ts';
import { AppError } from '#protocol/error.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import type { JobOrigin, JobRecord, UpscaleJob } from '#protocol/job.ts';
import type { LibraryWorker, OnPackState } from '#protocol/library-worker.ts';
import { isIncluded, type AnyPack, type ModelId, type ModelState } from '#protocol/model.ts';
import { openImageMarks } from '#storage/image-marks.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { openKeys } from '#storage/keys.ts';
import { openPublishedFiles } from '#storage/published-files.ts';
import { openSettings } from '#storage/settings.ts';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { TEST_MODEL, testAddOn } from '../../support/fake-host.ts';
import { textToImage } from '../../support/jobs.ts';
import { threads, ThreadWorker } from '../../support/thread-worker.ts';
import { waitFor } from '../../support/wait-for.ts';

const builtIn = TEST_MODEL.pack;
const other = { ...builtIn, id: 'other', title: 'Other model', url: null };
const ofApp: JobOrigin = { client: 'app', requestKey: null };
const never = new Promise<never>(() => undefined);
const installed: ModelState = { stage: 'installed', installedAt: 0 };

beforeAll(carryErrorCodes);

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
});

/** A download under way, as the test leads it. */
interface Download {
  pack: AnyPack;
  tell(state: ModelState): void;
  finish(): void;
  fail: (error: AppError) => void;
}

/** A library whose downloads do what the test says. Imports bring `other`. */
function createTestLibrary(states: Record<ModelId, [AnyPack, ModelState]>) {
  const known = new Map(Object.entries(states));
  const downloads: Download[] = [];

  const bring = (pack: AnyPack, onState: OnPackState): Promise<void> =>
    new Promise((resolve, reject) => {
      const tell = (state: ModelState) => {
        known.set(pack.id, [pack, state]);
        onState(pack, state);
      };
      downloads.push({
        pack,
        tell,
        finish: () => {
          tell(installed);
          resolve();
        },
        fail: reject,
      });
    });

  const library: LibraryWorker = {
    list: () => Promise.resolve([...known.values()].map(([pack, state]) => ({ pack, state }))),
    install: (id, onState) => bring(known.get(id)?.[0] ?? other, onState),
    cancel: (id) => {
      for (const { pack, fail } of downloads) {
        if (pack.id === id) fail(new AppError('cancelled', 'Cancelled.'));
      }
    },
    remove: (id) => {
      const pack = known.get(id)?.[0];
      if (pack && isIncluded(pack)) known.set(id, [pack, { stage: 'absent' }]);
      else known.delete(id);
      return Promise.resolve();
    },
    inspect: () => Promise.reject(new AppError('invalid_request', 'There is nothing to look at.')),
    importPack: async (_source, _choice, _device, onState) => {
      await bring(other, onState);
      return other.id;
    },
    catalogue: () => [],
  };
  const { port1, port2 } = new MessageChannel();
  expose(library, port1);
  return {
    remote: wrap<LibraryWorker>(port2),
    download: (index: number): Promise<Download> =>
      waitFor(
        () => {
          const begun = downloads[index];
          if (!begun) throw new Error(`Download ${String(index)} has not begun.`);
          return begun;
        },
        { timeout: 20_000 },
      ),
    downloads,
  };
}

let databases = 0;

/** A tab that hosts the engine, on stores that outlive it. */
async function openTab(library: Remote<LibraryWorker>, database = String(databases++), hasModels = false) {
  const ended: JobRecord[] = [];
  const tab = await createEngineHost({
    hostId: 'tab',
    startEngineWorker: () => new ThreadWorker(),
    startHordeWorker: () => {
      throw new Error('No job of these tests leaves this machine.');
    },
    library,
    jobs: openJobs(`host-jobs-${database}`),
    images: openImages(`host-images-${database}`),
    imageMarks: openImageMarks(`host-marks-${database}`),
    files: openPublishedFiles(`host-files-${database}`),
    settings: openSettings(`host-settings-${database}`),
    keys: openKeys(`host-keys-${database}`),
    hasModels: () => Promise.resolve(hasModels),
    forcedBackend: null,
    isOnline: () => true,
    onJobEnded: (record) => ended.push(record),
  });
  const host = tab.serve(never);
  const events: HostEvent[] = [];
  await host.watch((event) => events.push(event));
  return { host, events, ended, database };
}

const generate = (prompt = 'finish', model: ModelId = builtIn.id) =>
  textToImage({ prompt, model, seeds: [1n] });

const upscale = (prompt: string, upscaler: string): UpscaleJob => ({
  task: 'upscale',
  sources: [{ image: new Blob(['an image']), known: { prompt, seed: 1n, infotext: prompt } }],
  post: [{ kind: 'upscale', upscaler, size: { factor: 2 } }],
  output: { format: 'png', quality: 1, texts: true },
});

it('starts the engine while it waits for the list of packs, where something is stored', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const { host } = await openTab(library.remote, undefined, true);
  expect(threads).toHaveLength(1);
  await waitFor(async () => expect((await host.hello()).backend).not.toBeNull());

  // A first visit fetches nothing before it is wanted.
  await openTab(library.remote);
  expect(threads).toHaveLength(1);
});

it('measures this device on request, not while a job runs, and keeps what came out with what it was measured on', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, installed] });
  const { host } = await openTab(library.remote);
  await host.submit('1', generate('wait'), ofApp);
  await waitFor(async () => expect((await host.job('1'))?.stage).toBe('running'));
  await expect(host.measureSpeed()).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining('while a job runs') as string,
  });
  await host.cancel('1');
  await host.wait('1');
  await host.measureSpeed();
  const { backend } = await host.hello();
  if (!backend) throw new Error('The engine has not started.');
  const settings = await host.settings();
  expect(readSpeed(settings, backend)).toBe(40e9);
  expect(readSpeed(settings, { ...backend, description: 'another thread' })).toBeNull();
});

it('shares one download between all who want a model', async () => {
  const library = createTestLibrary({ other: [other, { stage: 'absent' }] });
  const { host } = await openTab(library.remote);
  const installs = Promise.all([host.installModel('other'), host.installModel('other')]);
  (await library.download(0)).finish();
  await installs;
  await host.installModel('other');
  expect(library.downloads).toHaveLength(1);
  expect((await host.models())[0]?.state).toEqual(installed);
});

it('takes jobs for the built-in model at once, and runs them when it is here', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const { host, events } = await openTab(library.remote);
  await host.submit('1', generate(), ofApp);
  const download = await library.download(0);
  download.tell({ stage: 'downloading', receivedBytes: 5, totalBytes: 10, bytesPerSecond: null });
  await waitFor(() => {
    expect(events.at(-1)).toMatchObject({
      type: 'models',
      models: [{ pack: builtIn, selected: true, state: { stage: 'downloading', receivedBytes: 5 } }],
    });
  });
  expect((await host.job('1'))?.stage).toBe('running');
  download.finish();
  expect((await host.wait('1')).stage).toBe('done');
});

it('brings what comes with the app when a job needs it', async () => {
  const checker = visionNetworks.find(({ kind }) => kind === 'safety-checker');
  if (!checker) throw new Error('There is no safety checker.');
  const library = createTestLibrary({
    'emoji-mini': [builtIn, { stage: 'installed', installedAt: 1 }],
    [checker.id]: [checker, { stage: 'absent' }],
  });
  const { host } = await openTab(library.remote);
  const stageOf = async () => (await host.addOns())[0]?.state.stage;
  const check = { checker: checker.id, threshold: 0.6 };
  const job = { ...generate(), post: [{ kind: 'safety', action: 'blur', ...check }] } as const;
  expect(await stageOf()).toBe('absent');
  await host.submit('1', job, ofApp);
  const download = await library.download(0);
  expect(download.pack.id).toBe(checker.id);
  download.finish();
  await host.wait('1');
  expect(await stageOf()).toBe('installed');

  // Removed, it is listed all the same, and comes again with the next job.
  await host.removeModel(checker.id);
  expect(await stageOf()).toBe('absent');
  await host.submit('2', job, ofApp);
  (await library.download(1)).finish();
  expect((await host.wait('2')).stage).toBe('done');
  expect(await stageOf()).toBe('installed');
});

it('takes jobs for another model only when it is here or on its way', async () => {
  const library = createTestLibrary({
    'emoji-mini': [builtIn, installed],
    other: [other, { stage: 'absent' }],
    shiny: [testAddOn('lora', 'shiny').pack, installed],
  });
  const { host } = await openTab(library.remote);
  const refusal = { code: 'model_not_found' };
  await expect(host.submit('1', generate('finish', 'other'), ofApp)).rejects.toMatchObject({
    ...refusal,
    message:
      'The checkpoint "Other model" is not installed. Install it in Models, or choose another checkpoint.',
    detail: { model: 'other', kind: 'model' },
  });
  await expect(host.submit('2', generate('finish', 'nowhere'), ofApp)).rejects.toMatchObject(refusal);
  await expect(host.submit('3', generate('finish', 'shiny'), ofApp)).rejects.toMatchObject(refusal);
  const install = host.installModel('other');
  await host.submit('4', generate('finish', 'other'), ofApp);
  (await library.download(0)).finish();
  await install;
  expect((await host.wait('4')).stage).toBe('done');
  expect(library.downloads).toHaveLength(1);
});

it.each([
  [
    'stopped',
    new AppError('cancelled', 'Cancelled.'),
    'The download of Emoji Mini was stopped. Start it again in Models.',
  ],
  ['cut off', new AppError('download_failed', 'The connection was lost.'), 'The connection was lost.'],
])('ends jobs whose model’s download is %s with the reason', async (_, error, message) => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const { host } = await openTab(library.remote);
  await host.submit('1', generate(), ofApp);
  const download = await library.download(0);
  if (error.code === 'cancelled') await host.cancelInstall(builtIn.id);
  else download.fail(error);
  expect(await host.wait('1')).toMatchObject({
    stage: 'failed',
    error: { code: 'download_failed', message },
  });
  // The next one tries again.
  await host.submit('2', generate(), ofApp);
  (await library.download(1)).finish();
  expect((await host.wait('2')).stage).toBe('done');
});

it('does not begin a stopped download again for the jobs in line', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const { host } = await openTab(library.remote);
  for (const id of ['1', '2', '3']) await host.submit(id, generate(), ofApp);
  await library.download(0);
  await host.cancelInstall(builtIn.id);
  for (const id of ['1', '2', '3']) {
    expect(await host.wait(id)).toMatchObject({
      stage: 'failed',
      error: { message: 'The download of Emoji Mini was stopped. Start it again in Models.' },
    });
  }
  expect(library.downloads).toHaveLength(1);
});

it('lets a download go on whose job is cancelled', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const { host } = await openTab(library.remote);
  await host.submit('1', generate(), ofApp);
  const download = await library.download(0);
  await host.cancel('1');
  expect((await host.wait('1')).stage).toBe('cancelled');
  await host.submit('2', generate(), ofApp);
  download.finish();
  expect((await host.wait('2')).stage).toBe('done');
  expect(library.downloads).toHaveLength(1);
});

it('runs a job that waited for its model in the tab before', async () => {
  const before = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const first = await openTab(before.remote);
  await first.host.submit('1', generate(), ofApp);
  await before.download(0);

  const after = createTestLibrary({ 'emoji-mini': [builtIn, { stage: 'absent' }] });
  const second = await openTab(after.remote, first.database);
  expect((await second.host.unfinishedJobs()).map(({ id }) => id)).toEqual(['1']);
  (await after.download(0)).finish();
  expect(await second.host.wait('1')).toMatchObject({ stage: 'done', attempts: 2 });
});

it('upscales without a model, with what is installed', async () => {
  const library = createTestLibrary({
    'emoji-mini': [builtIn, { stage: 'absent' }],
    sharp: [testAddOn('upscaler', 'sharp').pack, installed],
    coming: [testAddOn('upscaler', 'coming').pack, { stage: 'absent' }],
  });
  const { host } = await openTab(library.remote);
  await host.submit('1', upscale('name packs', 'sharp'), ofApp);
  expect(await host.wait('1')).toMatchObject({
    stage: 'done',
    result: { notes: expect.arrayContaining(['sharp']) as string[] },
  });
  await host.submit('2', upscale('finish', 'Lanczos'), ofApp);
  expect((await host.wait('2')).stage).toBe('done');
  expect(library.downloads).toHaveLength(0);
  for (const [upscaler, message] of [
    ['coming', 'The upscaler "coming" is not installed. Install it in Models, or choose another upscaler.'],
    ['nowhere', 'The upscaler "nowhere" is not installed. Install it in Models, or choose another upscaler.'],
  ] as const) {
    const refused = host.submit('3', upscale('finish', upscaler), ofApp);
    await expect(refused).rejects.toMatchObject({ code: 'model_not_found', message });
  }
});

it('upscales in the next tab what the one before left', async () => {
  const installedPacks = (): Record<ModelId, [AnyPack, ModelState]> => ({
    'emoji-mini': [builtIn, installed],
    sharp: [testAddOn('upscaler', 'sharp').pack, installed],
  });
  const first = await openTab(createTestLibrary(installedPacks()).remote);
  await first.host.submit('1', upscale('wait', 'sharp'), ofApp);
  await first.host.submit('2', upscale('name packs', 'sharp'), ofApp);
  await waitFor(async () => expect((await first.host.job('1'))?.stage).toBe('running'), {
    timeout: 20_000,
  });

  const second = await openTab(createTestLibrary(installedPacks()).remote, first.database);
  const taken = await second.host.job('1');
  expect(taken?.job).toMatchObject({ task: 'upscale', post: [{ upscaler: 'sharp' }] });
  await waitFor(async () => expect(await second.host.preview('1')).toBeDefined(), { timeout: 20_000 });
  await second.host.cancel('1');
  expect(await second.host.wait('1')).toMatchObject({ stage: 'cancelled', attempts: 2 });
  expect(await second.host.wait('2')).toMatchObject({
    stage: 'done',
    result: { notes: expect.arrayContaining(['sharp']) as string[] },
  });
});

const plain = textToImage({ prompt: 'name packs', seeds: [1n] });

it.each([
  [
    'vae',
    textToImage({ prompt: 'name packs', seeds: [1n], vae: 'extra' }),
    'The VAE "extra" is not installed. Install it in Models, or clear the VAE setting.',
  ],
  [
    'lora',
    { ...plain, loras: [{ id: 'extra', strength: 1 }] },
    'The LoRA "extra" is not installed. Install it in Models, or leave the LoRA out.',
  ],
  [
    'upscaler',
    { ...plain, post: [{ kind: 'upscale', upscaler: 'extra', size: { factor: 2 } }] },
    'The upscaler "extra" is not installed. Install it in Models, or choose another upscaler.',
  ],
] as const)('refuses a job without its %s; waits for one that is on its way', async (kind, job, message) => {
  const library = createTestLibrary({
    'emoji-mini': [builtIn, installed],
    extra: [testAddOn(kind, 'extra').pack, { stage: 'absent' }],
  });
  const { host } = await openTab(library.remote);
  await expect(host.submit('1', job, ofApp)).rejects.toMatchObject({ code: 'model_not_found', message });
  const install = host.installModel('extra');
  await host.submit('2', job, ofApp);
  await host.submit('3', job, ofApp);
  const download = await library.download(0);
  await host.cancelInstall('extra');
  await expect(install).rejects.toMatchObject({ code: 'cancelled' });
  const error = {
    code: 'download_failed',
    message: 'The download of extra was stopped. Start it again in Models.',
  };
  for (const id of ['2', '3']) expect(await host.wait(id)).toMatchObject({ stage: 'failed', error });
  const again = host.installModel('extra');
  await host.submit('4', job, ofApp);
  (await library.download(1)).finish();
  await again;
  expect((await host.wait('4')).result?.notes).toEqual(['emoji-mini', 'extra']);
  expect(download.pack.id).toBe('extra');
});

it('names every pack that is missing, and one of the wrong kind', async () => {
  const library = createTestLibrary({
    'emoji-mini': [builtIn, installed],
    shiny: [testAddOn('lora', 'shiny').pack, installed],
  });
  const { host } = await openTab(library.remote);
  const job = {
    ...textToImage({ prompt: 'finish', seeds: [1n], vae: 'shiny' }),
    loras: [{ id: 'gone', strength: 1 }],
  };
  await expect(host.submit('1', job, ofApp)).rejects.toMatchObject({
    code: 'model_not_found',
    message:
      '"shiny" is a LoRA, not a VAE. The LoRA "gone" is not installed. Install it in Models, or leave the LoRA out.',
  });
});

it('takes jobs for an import as soon as it is known, and runs them when it is here', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, installed] });
  const { host, events } = await openTab(library.remote);
  const importing = host.importModel({ from: 'url', url: 'https://example.com/other' }, { storage: 'exact' });
  const download = await library.download(0);
  download.tell({ stage: 'quantising', doneBytes: 1, totalBytes: 2 });
  await waitFor(() => {
    expect(events.at(-1)).toMatchObject({
      type: 'models',
      models: [{ pack: { id: builtIn.id } }, { pack: { id: 'other' }, state: { stage: 'quantising' } }],
    });
  });
  await host.submit('1', generate('finish', 'other'), ofApp);
  download.finish();
  expect(await importing).toBe('other');
  expect((await host.wait('1')).stage).toBe('done');
  expect(library.downloads).toHaveLength(1);
});

it('hands the engine what is installed', async () => {
  const [shiny, coming] = [testAddOn('lora', 'shiny').pack, testAddOn('lora', 'coming').pack];
  const library = createTestLibrary({
    'emoji-mini': [builtIn, installed],
    shiny: [shiny, installed],
    coming: [coming, { stage: 'absent' }],
  });
  const { host, events } = await openTab(library.remote);
  expect((await host.models()).map(({ pack }) => pack.id)).toEqual(['emoji-mini']);
  await host.submit('1', generate('name packs'), ofApp);
  expect((await host.wait('1')).result?.notes).toEqual(['emoji-mini', 'shiny']);

  const install = host.installModel('coming');
  (await library.download(0)).finish();
  await install;
  expect(events.filter(({ type }) => type === 'add-ons').at(-1)).toMatchObject({
    addOns: [{ pack: shiny }, { pack: coming, state: { stage: 'installed' } }],
  });
  await host.submit('2', generate('name packs'), ofApp);
  expect((await host.wait('2')).result?.notes).toEqual(['emoji-mini', 'shiny', 'coming']);

  await host.removeModel('shiny');
  expect((await host.addOns()).map(({ pack }) => pack.id)).toEqual(['coming']);
});

it('falls back to the built-in model when the selected one is removed', async () => {
  const library = createTestLibrary({ 'emoji-mini': [builtIn, installed], other: [other, installed] });
  const { host } = await openTab(library.remote);
  const selected = async () => (await host.models()).find((model) => model.selected)?.pack.id;
  await host.selectModel('other');
  expect(await selected()).toBe('other');
  await host.removeModel('other');
  expect(await selected()).toBe('emoji-mini');
});
