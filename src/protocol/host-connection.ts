import { wrap, type Remote } from 'comlink';
import type { PortGreeting } from './connect.ts';
import { hostLockName, type EngineHost } from './engine-host.ts';
import { AppError } from './error.ts';

/** A line to the tab that hosts the engine. */
export interface RemoteHost {
  host: Remote<EngineHost>;
  /** Resolves when that tab is gone: what was asked of it will never be answered. */
  ended: Promise<void>;
  /** Closes the connection when it is no longer needed. */
  close(): void;
}

/**
 * Waits for the host's greeting on a port whose other end was handed to it.
 * @throws AppError `no_engine_tab` when no host greets within `withinMs`, `protocol_mismatch`
 */
export async function awaitHost(port: MessagePort, withinMs: number): Promise<RemoteHost> {
  const greeting = await new Promise<PortGreeting | null>((resolve) => {
    port.addEventListener('message', (event: MessageEvent<PortGreeting>) => resolve(event.data), {
      once: true,
    });
    port.start();
    setTimeout(() => resolve(null), withinMs);
  });
  if (greeting?.type === 'vitrine-connected') {
    // Its lock is free once the tab is gone.
    const waiting = new AbortController();
    const ended = navigator.locks
      .request(hostLockName(greeting.hostId), { mode: 'shared', signal: waiting.signal }, () => undefined)
      // Closed by us: nothing waits for the end any more.
      .catch(() => new Promise<void>(() => undefined));
    return {
      host: wrap<EngineHost>(port),
      ended,
      close() {
        waiting.abort();
        port.close();
      },
    };
  }
  if (greeting?.reason === 'protocol_mismatch') {
    throw new AppError(
      'protocol_mismatch',
      'The tab that runs the engine has another version of the app. Reload it.',
    );
  }
  throw new AppError('no_engine_tab', 'No open tab runs the engine. Open the app in a tab and keep it open.');
}
