import type { ApiHost, Connect } from '#api/connection.ts';
import { visionNetworks } from '#library/packs/vision.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, JobRecord, UpscaleJob } from '#protocol/job.ts';
import type { AddOnInfo, AddOnPack, ModelInfo } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { FakeEngine } from './fake-engine.ts';
import { startFakeLibrary, type FakeLibraryOptions } from './fake-library.ts';
import { openHostAround, type HostAroundOptions, type HostTab } from './host-around.ts';

export { colourOf } from './fake-engine.ts';

const SHA256 = '0123456789abcdef'.repeat(4);

export const TEST_MODEL: ModelInfo = {
  pack: {
    id: 'emoji-mini',
    title: 'Emoji Mini',
    description: 'A model of the tests',
    kind: 'model',
    family: 'emoji-mini',
    weights: 'onnx',
    url: 'models/emoji-mini',
    files: [],
    licence: { name: 'MIT' },
    credits: '',
    trainedSizes: [[256, 256]],
    sizing: 'trained',
    latent: { channels: 4, downscale: 8, scalingFactor: 1, sizeMultiple: 8 },
    defaults: {
      width: 256,
      height: 256,
      steps: 20,
      guidanceScale: 5,
      sampler: 'dpmpp_2m',
      schedule: 'karras',
    },
  },
  sizeBytes: 25_000_000,
  sha256: SHA256,
  state: { stage: 'installed', installedAt: 0 },
  selected: true,
};

/** A model around whose weights the engine writes its own graphs. */
export const OWN_GRAPHS_MODEL: ModelInfo = {
  ...TEST_MODEL,
  pack: { ...TEST_MODEL.pack, id: 'photo', title: 'Photo', family: 'sd1', weights: 'safetensors' },
};

/** An installed add-on of the tests. */
export function testAddOn(
  kind: AddOnPack['kind'],
  id: string,
  {
    family = null,
    sizeBytes = 4000,
    installed = true,
  }: {
    family?: AddOnPack['family'];
    sizeBytes?: number;
    installed?: boolean;
  } = {},
): AddOnInfo {
  return {
    pack: {
      id,
      title: id,
      description: 'An add-on of the tests',
      kind,
      family,
      url: null,
      files: [],
      licence: { name: 'unknown' },
      credits: '',
    },
    sizeBytes,
    sha256: 'fedcba9876543210'.repeat(4),
    state: installed ? { stage: 'installed', installedAt: 0 } : { stage: 'absent' },
  };
}

export interface FakeHost {
  host: ApiHost;
  connect: Connect;
  /** Every job that was started to generate, in order. */
  jobs: readonly GenerateJob[];
  /** Every job that was started to upscale. */
  upscalings: readonly UpscaleJob[];
  /** Ends the tab: what was asked of it stays unanswered; the next `connect` finds a tab that takes over its records. */
  close(): void;
  /** No tab is open from now on. */
  vanish(): void;
}

interface Options {
  models?: readonly ModelInfo[];
  addOns?: readonly AddOnInfo[];
  settings?: Settings;
  /** Milliseconds per step; 0 generates at once. */
  stepMs?: number;
  /** Milliseconds for a tenth of a download. */
  downloadMs?: number;
  /** Thrown in place of an image. */
  failure?: AppError;
  /** What every run notes. */
  notes?: readonly string[];
  /** What something to import is; nothing can be imported without. */
  offerOf?: FakeLibraryOptions['offerOf'];
  /** Starts the worker that talks to the AI Horde; there is none without. */
  startHorde?: HostAroundOptions['startHorde'];
  /** Told of every job that has ended. */
  onEnded?: (record: JobRecord) => void;
}

/**
 * The app's own host around an engine that generates each image in the one colour of its seed, and "upscales" into flat
 * images of 16 by 8 pixels. Tests in Node need `fake-indexeddb/auto`, which the unit tests' setup brings.
 */
export function createFakeHost({
  models = [TEST_MODEL],
  addOns = [],
  settings = {},
  stepMs = 0,
  downloadMs = 0,
  failure,
  notes = [],
  offerOf,
  onEnded,
  startHorde,
}: Options = {}): FakeHost {
  const engine = new FakeEngine({
    stepMs,
    notes,
    upscaledSize: { width: 16, height: 8 },
    ...(failure && { failure }),
  });
  const packs = [...models, ...addOns].map(({ pack, sizeBytes, sha256, state }) => ({
    pack: { ...pack, files: [{ path: 'weights', sizeBytes, sha256: sha256 || null }] },
    state,
  }));
  // Comes with the app, and ModelsLab and itsrose use it unless asked not to.
  const included = visionNetworks
    .filter(({ kind }) => kind === 'safety-checker')
    .map((pack) => ({ pack, state: { stage: 'absent' } as const }));
  const library = startFakeLibrary({
    packs: [...packs, ...included],
    downloadMs,
    ...(offerOf && { offerOf }),
  });
  const selected = models.find((model, index) => index > 0 && model.selected)?.pack.id;
  const open = (database?: string) =>
    openHostAround({
      startEngine: () => engine.startThread(),
      library,
      ...(startHorde && { startHorde }),
      settings: { ...settings, ...(selected !== undefined && { 'app.model': selected }) },
      ...(database !== undefined && { database }),
      ...(onEnded && { onJobEnded: onEnded }),
    });
  let tab = openConnection(open());
  let isVanished = false;

  return {
    get host() {
      return tab.host;
    },
    connect: () => {
      if (isVanished)
        return Promise.reject(new AppError('no_engine_tab', 'No tab is open that could generate.'));
      return Promise.resolve({ host: tab.host, ended: tab.ended });
    },
    jobs: engine.generated,
    upscalings: engine.upscaled,
    close: () => {
      const { opening } = tab;
      tab.close();
      engine.cancel();
      tab = openConnection(opening.then(({ database }) => open(database)));
    },
    vanish: () => {
      isVanished = true;
    },
  };
}

/** A line to a tab that is still being opened: questions wait for it, and stay unanswered once it is closed. */
function openConnection(opening: Promise<HostTab>) {
  const ended = Promise.withResolvers<undefined>();
  const never = new Promise<never>(() => undefined);
  const host = new Proxy({} as ApiHost, {
    get: (_, name: keyof ApiHost) => {
      return async (...values: unknown[]): Promise<unknown> => {
        const { host: served } = await opening;
        const answer = (served[name] as (...values: unknown[]) => unknown)(...values);
        return Promise.race([answer, ended.promise.then(() => never)]);
      };
    },
  });
  return {
    host,
    opening,
    ended: ended.promise,
    close: () => {
      void opening.then((tab) => tab.close());
      ended.resolve(undefined);
    },
  };
}
