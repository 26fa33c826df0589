import type { Remote } from 'comlink';
import type { FindHost } from '#protocol/connect.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import { awaitHost } from '#protocol/host-connection.ts';
import { pause } from '#protocol/pause.ts';
import type { Candidacy } from './hosting.ts';

const GREETING_WITHIN_MS = 30_000;
const TRY_AGAIN_AFTER_MS = 300;

/** Where this page's panels get their answers from. */
export interface FollowedHost {
  host: Remote<EngineHost>;
  /** Whether the engine is in this very tab. */
  here: boolean;
}

/**
 * Keeps a page connected to the tab that hosts the engine, which may be this one: when the host goes, the
 * page is connected to its successor. `onChange` gets null while there is none.
 */
export async function followHost(
  candidacy: Candidacy,
  onChange: (followed: FollowedHost | null) => void,
): Promise<never> {
  for (;;) {
    const { port1: near, port2: far } = new MessageChannel();
    const here = await candidacy.serve(far);
    const worker = 'serviceWorker' in navigator ? navigator.serviceWorker.controller : null;
    if (!here) worker?.postMessage({ type: 'vitrine-find-host' } satisfies FindHost, [far]);
    if (here || worker) {
      const connection = await Promise.race([
        awaitHost(near, GREETING_WITHIN_MS).catch(() => null),
        // Elected while asking around: this tab is the host now.
        here ? new Promise<never>(() => undefined) : candidacy.elected.then(() => null),
      ]);
      if (connection) {
        onChange({ host: connection.host, here });
        await connection.ended;
        onChange(null);
        continue;
      }
    }
    await pause(TRY_AGAIN_AFTER_MS);
  }
}
