import { expose, wrap, type Remote } from 'comlink';
import { emojiMini } from '#library/packs/emoji-mini.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import type { CatalogueEntry, ImportOffer, ImportSource } from '#protocol/import.ts';
import type { AddOnKind, AddOnPack, AnyPack, ModelPack, ModelState } from '#protocol/model.ts';
import { factsOf } from '#protocol/tasks.ts';
import { FakeEngine } from './fake-engine.ts';
import { FakeHorde } from './fake-horde.ts';
import { startFakeLibrary } from './fake-library.ts';
import { openHostAround } from './host-around.ts';

export interface DemoHostOptions {
  /** Whether the built-in model is there from the start. */
  installed?: boolean;
  /** Milliseconds for one sampling step. */
  stepMs?: number;
  /** Milliseconds for one upscaled image; `stepMs` unless given. */
  tileMs?: number;
  /** Milliseconds for a tenth of a download. */
  downloadMs?: number;
  /** What is installed besides the built-in model. */
  packs?: readonly AnyPack[];
  catalogue?: readonly CatalogueEntry[];
  /** The AI Horde; by default one that does a job at once. */
  horde?: FakeHorde;
  /** Names the databases, for a host that finds what an earlier one has left. */
  database?: string;
}

/** A model of Stable Diffusion's size, as an import would describe it. */
export const demoModel: ModelPack = {
  id: 'watercolours-v2',
  title: 'watercolours-v2',
  description: 'Stable Diffusion 1 checkpoint, float16, 1.1 billion parameters',
  kind: 'model',
  family: 'sd1',
  weights: 'safetensors',
  url: null,
  files: [{ path: 'checkpoint.safetensors', sizeBytes: 2_132_650_000, sha256: '6ce0161689'.padEnd(64, '0') }],
  licence: { name: 'unknown' },
  credits: 'From your disk.',
  importedFrom: null,
  trainedSizes: [
    [512, 512],
    [512, 768],
    [768, 512],
  ],
  sizing: 'exact',
  latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
  defaults: {
    width: 512,
    height: 768,
    steps: 25,
    guidanceScale: 7.5,
    sampler: 'euler',
    schedule: 'karras',
  },
};

/** An add-on for {@link demoModel}. */
export function demoAddOn(kind: AddOnKind, id: string): AddOnPack {
  return {
    id,
    title: id,
    description: '',
    kind,
    family: kind === 'upscaler' ? null : 'sd1',
    url: null,
    files: [{ path: `${kind}.safetensors`, sizeBytes: 37_800_000, sha256: 'c0ffee1234'.padEnd(64, '0') }],
    licence: { name: 'unknown' },
    credits: 'From your disk.',
    importedFrom: null,
  };
}

/** Something for the catalogue, as the library tells it. */
export const demoEntries: readonly CatalogueEntry[] = [
  {
    id: 'sd-example',
    title: 'Example Diffusion 1.5',
    goodFor: 'The base that most LoRAs and embeddings are made for.',
    kind: 'model',
    family: 'sd1',
    url: 'https://huggingface.co/example/diffusion/resolve/main/example.safetensors',
    sizeBytes: 4_265_146_304,
    memoryBytes: 3_500_000_000,
    values: { steps: 25, guidanceScale: 7 },
    licence: {
      name: 'CreativeML OpenRAIL-M',
      url: 'https://huggingface.co/spaces/CompVis/stable-diffusion-license',
    },
    credits: 'Example Labs',
    needsFloat16: false,
  },
  {
    id: 'turbo-example',
    title: 'Example Turbo',
    goodFor: 'An image in one to four steps.',
    kind: 'model',
    family: 'sd2',
    url: 'https://huggingface.co/example/turbo',
    sizeBytes: 2_500_000_000,
    memoryBytes: null,
    values: { steps: 4, guidanceScale: 1 },
    licence: { name: 'Research licence', url: 'https://huggingface.co/example/turbo', nonCommercial: true },
    credits: 'Example Labs',
    needsFloat16: true,
  },
];

/**
 * The app's own host around an engine and a library of the tests, for the app's panels. Jobs whose prompt has `failure` in
 * it fail.
 */
export async function openDemoHost({
  installed = true,
  stepMs = 40,
  tileMs = stepMs,
  downloadMs = 60,
  packs = [],
  catalogue = [],
  horde = new FakeHorde(0),
  database,
}: DemoHostOptions = {}): Promise<EngineHost> {
  const here: ModelState = { stage: 'installed', installedAt: Date.now() };
  const engine = new FakeEngine({
    stepMs,
    tileMs,
    failure: (job) =>
      factsOf(job).prompt(job, 0).includes('failure')
        ? new AppError('out_of_memory', 'There is not enough memory.')
        : undefined,
  });
  const library = startFakeLibrary({
    packs: [
      { pack: emojiMini, state: installed ? here : { stage: 'absent' } },
      ...packs.map((pack) => ({ pack, state: here })),
    ],
    catalogue,
    downloadMs,
    offerOf,
  });
  const tab = await openHostAround({
    startEngine: () => engine.startThread(),
    startHorde: () => horde.startThread(),
    library,
    ...(database !== undefined && { database }),
  });
  await tab.warmUp();
  return tab.host;
}

/** The host behind a message port, as another tab's would be. */
export function connectDemoHost(host: EngineHost): Remote<EngineHost> {
  const { port1, port2 } = new MessageChannel();
  expose(host, port1);
  return wrap<EngineHost>(port2);
}

/** Kinds told from the file's name, where a real library reads its header. */
function offerOf(source: ImportSource): { offer: ImportOffer; pack: AnyPack } {
  const path = source.from === 'url' ? new URL(source.url).pathname : (source.files[0]?.path ?? '');
  const name = path.split('/').at(-1) ?? '';
  const id = name.replace(/\.\w+$/, '');
  const kind =
    (['lora', 'vae', 'embedding', 'upscaler'] as const).find((word) => name.includes(word)) ?? 'model';
  const isPickle = name.endsWith('.ckpt');
  const exact = kind === 'model' ? 2_132_650_000 : 37_800_000;
  const options = [
    { storage: 'exact', sizeBytes: exact, memoryBytes: 1.5 * exact },
    { storage: 'int8', sizeBytes: 0.52 * exact, memoryBytes: 0.9 * exact },
    { storage: 'int4', sizeBytes: 0.33 * exact, memoryBytes: 0.7 * exact },
  ] as const;
  const licence =
    source.from === 'url' ? { name: 'CreativeML OpenRAIL-M', url: source.url } : { name: 'unknown' };
  const offer: ImportOffer = {
    id,
    title: id,
    kind: isPickle ? 'unknown' : kind,
    family: isPickle ? null : 'sd1',
    format: isPickle ? 'unknown' : 'safetensors',
    summary: isPickle ? 'A pickle file.' : `Stable Diffusion 1 ${kind}, float16`,
    type: isPickle ? null : 'float16',
    parameters: isPickle ? null : exact / 2,
    files: [
      { path: name, sizeBytes: exact, sha256: source.from === 'url' ? 'ab12cd34ef'.padEnd(64, '0') : null },
    ],
    options: isPickle ? [] : kind === 'model' ? options : options.slice(0, 1),
    prediction: kind === 'model' && !isPickle ? { type: 'epsilon', certain: !name.includes('768') } : null,
    licence,
    warnings: name.includes('inpaint')
      ? ['An inpainting model: it generates whole images too, though less well.']
      : [],
    problem: isPickle
      ? 'This is a pickle file: to read it is to run the code in it. Look for the .safetensors of the same model.'
      : null,
  };
  const pack = kind === 'model' ? demoModel : demoAddOn(kind, id);
  const importedFrom = source.from === 'url' ? source.url : null;
  return { offer, pack: { ...pack, id, title: id, importedFrom, licence } };
}
