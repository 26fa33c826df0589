import { createTaskQueue } from '#engine/runtime/queue.ts';
import type { Session } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { PreparedNetwork } from './networks.ts';

/** Sessions of all kinds together may have weights of so many bytes while they are kept after their use. */
export const KEPT_BYTES = 2e9;

/** Open sessions by key; see {@link createSessionCache}. */
export interface SessionCache {
  /**
   * The sessions of these networks, in their order. Those that are not open yet are opened, the largest first while the
   * memory is in one piece; others make room for them, those whose last use is longest ago before the rest.
   * @param later those that may be added to them: they stay if they are open, and room is made for them
   */
  open(networks: readonly PreparedNetwork[], later?: readonly PreparedNetwork[]): Promise<Session[]>;
  /** One session more beside those of the last {@link open}; others make room where there is none. */
  add(network: PreparedNetwork): Promise<Session>;
  /** Of the weights of the sessions that are kept. */
  bytes(): number;
  release(): Promise<void>;
}

/**
 * Keeps sessions, so that changing a LoRA back and forth does not load weights each time.
 * @param keptBytes of those kept after their use, those in use included
 */
export function createSessionCache(keptBytes = KEPT_BYTES): SessionCache {
  /** The one used last is the last. */
  const kept = new Map<string, { session: Session; bytes: number }>();
  /** Keys of what the last {@link SessionCache.open} was asked for. */
  let inUse: ReadonlySet<string> = new Set();
  // A job that comes while the model is being loaded for it waits for these sessions, and opens none of its own.
  const queue = createTaskQueue();

  async function releaseBut(keys: ReadonlySet<string>, allowedBytes: number): Promise<void> {
    const others = [...kept].filter(([key]) => !keys.has(key));
    let bytes = others.reduce((sum, [, entry]) => sum + entry.bytes, 0);
    for (const [key, entry] of others) {
      if (bytes <= allowedBytes) return;
      kept.delete(key);
      bytes -= entry.bytes;
      await entry.session.release();
    }
  }

  async function openOne(network: PreparedNetwork): Promise<Session> {
    const { key, bytes } = network;
    const session = kept.get(key)?.session ?? (await network.open());
    kept.delete(key);
    kept.set(key, { session, bytes });
    return network.adapt ? network.adapt(session) : session;
  }

  async function openMakingRoom(network: PreparedNetwork): Promise<Session> {
    try {
      return await openOne(network);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== 'out_of_memory') throw thrown;
      await releaseBut(inUse, 0);
      return openOne(network);
    }
  }

  async function openAll(
    wanted: readonly PreparedNetwork[],
    later: readonly PreparedNetwork[],
  ): Promise<Session[]> {
    const networks = wanted.map((network) => {
      const { key, instead } = network;
      return instead && !kept.has(key) && kept.has(instead.key) ? instead : network;
    });
    const all = [...networks, ...later];
    inUse = new Set(all.map(({ key }) => key));
    await releaseBut(inUse, keptBytes - all.reduce((sum, { bytes }) => sum + bytes, 0));
    const sessions = new Map<PreparedNetwork, Session>();
    for (const network of networks.toSorted((a, b) => b.bytes - a.bytes)) {
      sessions.set(network, await openMakingRoom(network));
    }
    return networks.flatMap((network) => sessions.get(network) ?? []);
  }

  return {
    open: (networks, later = []) => queue.add(() => openAll(networks, later)),
    add: (network) => queue.add(() => openMakingRoom(network)),
    bytes: () => [...kept.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    release: () => queue.add(() => releaseBut(new Set(), -1)),
  };
}
