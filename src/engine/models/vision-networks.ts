import type { FloatTensor, Runtime, Session } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import { sumBytes, type AddOnPack } from '#protocol/model.ts';
import { packKey, type AddOns } from './add-ons.ts';
import { openGraphFile } from './graph-file.ts';
import type { Models } from './models.ts';
import type { PreparedNetwork } from './networks.ts';
import { createSessionCache, KEPT_BYTES } from './session-cache.ts';

/** Networks kept after their use may have weights of so many bytes: those that come with the app have a hundredth of it. */
const KEPT_VISION_BYTES = 400e6;

/** A graph of an add-on. */
export interface VisionGraph {
  pack: AddOnPack;
  /** The path of its ONNX file in the pack. */
  path: string;
}

/** Outputs of a network by their names. */
type NamedTensors = Readonly<Record<string, FloatTensor>>;

/** Networks beside those of checkpoints: they read images, or change finished ones. */
export interface VisionNetworks {
  /**
   * Opens these graphs, in their order; those given out before may be released by it. Where checkpoints do not fit beside them,
   * they leave the device.
   * @throws AppError `integrity_failed` for a damaged graph, `model_not_found`, and what the runtime throws
   */
  open(graphs: readonly VisionGraph[], addOns: AddOns): Promise<Session[]>;
  /** The same of a network that is written here. */
  openNetwork(network: PreparedNetwork): Promise<Session>;
  /**
   * What a slow network made of an image: of the last one made of, the same again; by key.
   * @throws what making throws; nothing is kept of that
   */
  recall(key: string, make: () => Promise<NamedTensors>): Promise<NamedTensors>;
  /** Releases them where models of so many bytes do not fit beside them. */
  makeRoom(bytes: number): Promise<void>;
  release(): Promise<void>;
}

/** Opens such networks on a runtime on demand, and keeps them as far as memory allows. */
export function createVisionNetworks(runtime: Runtime, models: Models): VisionNetworks {
  const cache = createSessionCache(KEPT_VISION_BYTES);
  let recalled: { key: string; outputs: NamedTensors } | null = null;

  async function release(): Promise<void> {
    recalled = null;
    await cache.release();
  }

  const prepare = ({ pack, path }: VisionGraph, addOns: AddOns): PreparedNetwork => {
    const bytes = bytesOf(pack, path);
    return {
      key: `${packKey(pack)}|${path}`,
      bytes,
      open: () => openGraphFile(runtime, addOns.files(pack), path, bytes),
    };
  };

  async function openAll(networks: readonly PreparedNetwork[]): Promise<Session[]> {
    const needed = networks.reduce((sum, { bytes }) => sum + bytes, 0);
    if ((await models.bytes()) + needed > KEPT_BYTES) await models.leaveDevice();
    return cache.open(networks);
  }

  return {
    open: (graphs, addOns) => openAll(graphs.map((graph) => prepare(graph, addOns))),
    async openNetwork(network) {
      const [session] = await openAll([network]);
      if (session) return session;
      throw new AppError('internal', 'The network was not opened.');
    },
    async recall(key, make) {
      if (recalled?.key !== key) {
        recalled = null;
        recalled = { key, outputs: await make() };
      }
      return recalled.outputs;
    },
    async makeRoom(bytes) {
      if (cache.bytes() + bytes > KEPT_BYTES) await release();
    },
    release,
  };
}

/** Of a graph and what lies beside it under its name, as its weights do. */
function bytesOf({ files }: AddOnPack, path: string): number {
  return sumBytes(files.filter((file) => file.path.startsWith(path)));
}
