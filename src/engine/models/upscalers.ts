import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack, PackFile } from '#protocol/model.ts';
import { packKey, type AddOns } from './add-ons.ts';
import { builtAddOn } from './built.ts';
import { openGraphFile } from './graph-file.ts';
import type { PreparedNetwork } from './networks.ts';
import { createSessionCache } from './session-cache.ts';

/** An upscaling network: `image` float32 [1, 3, height, width] in 0 … 1 to `upscaled`, `factor` times as large. */
export interface LoadedUpscaler {
  pack: AddOnPack;
  session: Session;
  factor: number;
  /** Sides of what it is given are multiples of this many pixels. */
  sideMultiple: number;
  /**
   * Pixels on each side of a tile that decide what the network makes of it, and that it is given besides; 0 where tiles are
   * blended instead.
   */
  context: number;
  /** The best side of a tile in pixels, where it is known. */
  tileSide?: number;
}

/** Upscaling networks on a runtime. */
export interface Upscalers {
  /**
   * Opens these networks, in their order; those given out before may be released by it.
   * @throws AppError `unsupported_feature` for networks of no known kind, and what the runtime throws
   */
  load(packs: readonly AddOnPack[], addOns: AddOns): Promise<LoadedUpscaler[]>;
  release(): Promise<void>;
}

interface PreparedUpscaler {
  facts: Omit<LoadedUpscaler, 'session' | 'factor'>;
  network: PreparedNetwork;
  factorOf: (session: Session) => Promise<number>;
}

/** Opens upscalers on a runtime on demand, and keeps them as far as memory allows. */
export function createUpscalers(runtime: Runtime): Upscalers {
  const cache = createSessionCache();

  return {
    async load(packs, addOns) {
      const prepared = await Promise.all(packs.map((pack) => prepare(pack, addOns, runtime)));
      const sessions = await cache.open(prepared.map(({ network }) => network));
      const loaded: LoadedUpscaler[] = [];
      for (const [index, { facts, factorOf }] of prepared.entries()) {
        const session = sessions[index];
        if (session) loaded.push({ ...facts, session, factor: await factorOf(session) });
      }
      return loaded;
    },
    release: () => cache.release(),
  };
}

function prepare(pack: AddOnPack, addOns: AddOns, runtime: Runtime): Promise<PreparedUpscaler> {
  const graph = pack.files.find(({ path }) => path.endsWith('.onnx'));
  return graph
    ? Promise.resolve(prepareGraph(pack, graph, addOns, runtime))
    : prepareWeights(pack, addOns, runtime);
}

/** A graph around weights of a known architecture. */
async function prepareWeights(pack: AddOnPack, addOns: AddOns, runtime: Runtime): Promise<PreparedUpscaler> {
  const { networks, configs } = await builtAddOn(pack, addOns.files(pack), null, runtime);
  const config = configs.get('upscaler');
  const factor = config?.['scale'];
  const sideMultiple = config?.['pixel_unshuffle'];
  if (typeof factor !== 'number' || typeof sideMultiple !== 'number' || !isForColours(config ?? {}))
    throw isNoUpscaler(pack);
  return {
    facts: { pack, sideMultiple, context: 0 },
    factorOf: () => Promise.resolve(factor),
    network: networks.prepare('upscaler', { loras: [], unet: {} }),
  };
}

function isForColours(config: Readonly<Record<string, unknown>>): boolean {
  return config['num_in_ch'] === 3 && config['num_out_ch'] === 3;
}

/**
 * What is known of graphs by the name of their network. Context: the receptive fields are 7, 10 and 18 pixels. Tiles: the
 * widest tensor stays within 128 MB.
 */
const GRAPHS: Readonly<Record<string, Pick<LoadedUpscaler, 'context' | 'tileSide' | 'sideMultiple'>>> = {
  anime4k: { context: 8, tileSide: 256, sideMultiple: 1 },
  'esrgan-slim': { context: 12, tileSide: 256, sideMultiple: 1 },
  'esrgan-medium': { context: 20, tileSide: 128, sideMultiple: 1 },
};

/** Networks with windows or strides take no other sides. */
const ANY_GRAPH = { context: 0, sideMultiple: 8 };

/** A finished graph: one image in, one out. */
function prepareGraph(
  pack: AddOnPack,
  { path, sizeBytes }: PackFile,
  addOns: AddOns,
  runtime: Runtime,
): PreparedUpscaler {
  return {
    facts: { pack, ...(GRAPHS[pack.network ?? ''] ?? ANY_GRAPH) },
    factorOf: (session) => measureFactor(pack, session),
    network: {
      key: `${packKey(pack)}|${path}`,
      bytes: sizeBytes,
      open: async () =>
        withKnownNames(pack, await openGraphFile(runtime, addOns.files(pack), path, sizeBytes)),
    },
  };
}

/** The graph under the names that built ones have. */
async function withKnownNames(pack: AddOnPack, session: Session): Promise<Session> {
  const [input, ...more] = session.inputNames;
  const [output] = session.outputNames;
  if (input === undefined || output === undefined || more.length > 0) {
    await session.release();
    throw isNoUpscaler(pack);
  }
  return {
    ...session,
    async run({ image, ...others }) {
      const { [output]: upscaled, ...rest } = await session.run({
        ...others,
        ...(image && { [input]: image }),
      });
      return { ...rest, ...(upscaled && { upscaled }) };
    },
  };
}

/** Pixels of the side that a graph is tried with. */
const TRIAL_SIDE = 16;

/** How much larger a graph's images are: graphs do not say. */
async function measureFactor(pack: AddOnPack, session: Session): Promise<number> {
  const data = new Float32Array(3 * TRIAL_SIDE * TRIAL_SIDE);
  const { upscaled } = await session.run({
    image: { type: 'float32', data, dims: [1, 3, TRIAL_SIDE, TRIAL_SIDE] },
  });
  const [, channels, height = 0, width] = upscaled?.dims ?? [];
  const factor = height / TRIAL_SIDE;
  if (channels === 3 && width === height && Number.isInteger(factor) && factor >= 1) return factor;
  throw isNoUpscaler(pack);
}

function isNoUpscaler(pack: AddOnPack): AppError {
  return new AppError(
    'unsupported_feature',
    `${pack.title} is not an upscaler for colour images. Choose another one.`,
    { detail: { model: pack.id } },
  );
}
