import { expose } from 'comlink';
import type { HostingReply, PortGreeting, ServePort, WhoHosts } from '#protocol/connect.ts';
import { ENGINE_LOCK, hostLockName } from '#protocol/engine-host.ts';
import { PROTOCOL } from '#protocol/version.ts';
import type { HostingTab } from './host.ts';

/** Resolves when the other end of a port has gone, in browsers that report it. */
function portClosed(port: MessagePort): Promise<void> {
  return new Promise((resolve) => port.addEventListener('close', () => resolve(), { once: true }));
}

/** A tab's standing in line for the engine. */
export interface Candidacy {
  /** Serves a port, if this tab is the host; answers whether it is. */
  serve(port: MessagePort): Promise<boolean>;
  /** Resolves when this tab has become the host. */
  elected: Promise<void>;
}

/**
 * Makes this tab a candidate for hosting the engine. The first in line holds a Web Lock and serves; when its
 * tab is closed, the next one's `open` is called.
 */
export function standForHost(open: (hostId: string) => Promise<HostingTab>): Candidacy {
  const hostId = crypto.randomUUID();
  const elected = Promise.withResolvers<undefined>();
  let hosting: Promise<HostingTab> | null = null;

  void navigator.locks.request(hostLockName(hostId), () =>
    navigator.locks.request(ENGINE_LOCK, async () => {
      hosting = open(hostId);
      // A tab that cannot open the engine leaves the queue and does not host.
      hosting.catch(() => (hosting = null));
      const tab = await hosting;
      elected.resolve(undefined);
      void tab.warmUp();
      // Held until this tab is gone.
      await new Promise(() => undefined);
    }),
  );

  async function serve(port: MessagePort): Promise<boolean> {
    if (!hosting) return false;
    const tab = await hosting;
    // The greeting goes first, so that the client listens before comlink speaks.
    port.postMessage({ type: 'vitrine-connected', hostId } satisfies PortGreeting);
    expose(tab.serve(portClosed(port)), port);
    return true;
  }

  if (!('serviceWorker' in navigator)) return { serve, elected: elected.promise };
  navigator.serviceWorker.addEventListener('message', (event: MessageEvent<WhoHosts | ServePort>) => {
    const [port] = event.ports;
    if (!port) return;
    switch (event.data.type) {
      case 'vitrine-who-hosts':
        port.postMessage((hosting ? 'hosting' : 'not-hosting') satisfies HostingReply);
        break;
      case 'vitrine-serve-port':
        if (event.data.protocol === PROTOCOL) {
          void serve(port);
        } else {
          port.postMessage({ type: 'vitrine-refused', reason: 'protocol_mismatch' } satisfies PortGreeting);
        }
        break;
    }
  });

  return { serve, elected: elected.promise };
}
