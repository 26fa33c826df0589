/// <reference lib="webworker" />
import type { HostingReply, ServePort, WhoHosts } from '#protocol/connect.ts';
import { ENGINE_LOCK } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import { awaitHost, type RemoteHost } from '#protocol/host-connection.ts';
import { PROTOCOL } from '#protocol/version.ts';

/** How long to look for a host while some tab holds, or waits for, the engine's lock. */
const SEARCH_FOR_MS = 20_000;
const SEARCH_AGAIN_AFTER_MS = 100;
/** A window that has not answered by then is asleep or not ours. */
const REPLY_WITHIN_MS = 1_000;

/** How long after a page was opened its script may take to line up as a host. */
const OPENING_MS = 5_000;

let lastOpenedAt = -Infinity;

/** A page is being opened: requests wait for it to host the engine before they are refused. */
export function expectHost(): void {
  lastOpenedAt = Date.now();
}

const isOpening = () => Date.now() - lastOpenedAt < OPENING_MS;

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Whether any tab hosts the engine, or is about to. */
async function hasCandidates(): Promise<boolean> {
  const { held = [], pending = [] } = await navigator.locks.query();
  return [...held, ...pending].some((lock) => lock.name === ENGINE_LOCK);
}

function askWindow(client: Client): Promise<boolean> {
  const { port1, port2 } = new MessageChannel();
  const reply = new Promise<boolean>((resolve) => {
    port1.onmessage = (event: MessageEvent<HostingReply>) => resolve(event.data === 'hosting');
  });
  client.postMessage({ type: 'vitrine-who-hosts' } satisfies WhoHosts, [port2]);
  return Promise.race([reply, delay(REPLY_WITHIN_MS).then(() => false)]).finally(() => port1.close());
}

async function findHostWindow(clients: Clients): Promise<Client | undefined> {
  const windows = await clients.matchAll({ type: 'window', includeUncontrolled: true });
  const { promise: first, resolve } = Promise.withResolvers<Client | undefined>();
  void Promise.all(
    windows.map(async (client) => {
      if (await askWindow(client)) resolve(client);
    }),
  ).then(() => resolve(undefined));
  return first;
}

/**
 * Hands a port to the tab that hosts the engine, waiting a moment for one to be elected.
 * @throws AppError `no_engine_tab`
 */
export async function passToHost(clients: Clients, port: MessagePort): Promise<void> {
  const deadline = Date.now() + SEARCH_FOR_MS;
  for (;;) {
    // Windows that never host do not answer: without a candidate there is nothing to wait for.
    const candidates = hasCandidates();
    const nobody = candidates.then((some) => (some ? new Promise<never>(() => undefined) : undefined));
    const host = await Promise.race([findHostWindow(clients), nobody]);
    if (host) {
      host.postMessage({ type: 'vitrine-serve-port', protocol: PROTOCOL } satisfies ServePort, [port]);
      return;
    }
    if ((!(await candidates) && !isOpening()) || Date.now() > deadline) break;
    await delay(SEARCH_AGAIN_AFTER_MS);
  }
  throw new AppError(
    'no_engine_tab',
    'No tab is running the engine. Open the app in a tab and keep it open.',
  );
}

/**
 * A line of the service worker's own to the hosting tab.
 * @throws AppError `no_engine_tab`, `protocol_mismatch`
 */
export async function connectToHost(clients: Clients): Promise<RemoteHost> {
  const { port1: near, port2: far } = new MessageChannel();
  await passToHost(clients, far);
  return awaitHost(near, SEARCH_FOR_MS);
}
