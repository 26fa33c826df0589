import type { JobId } from './job.ts';

/**
 * How a client gets a port to the tab that hosts the engine. The service worker keeps nothing in memory: for
 * each connection it asks all windows who hosts, and hands that one a port.
 */

/** Service worker → every window, with a reply port that answers {@link HostingReply}. */
export interface WhoHosts {
  type: 'vitrine-who-hosts';
}

export type HostingReply = 'hosting' | 'not-hosting';

/** Service worker → hosting window, with the port for the host to serve. */
export interface ServePort {
  type: 'vitrine-serve-port';
  protocol: number;
}

/** Window → service worker, with a port to be passed on to the host. */
export interface FindHost {
  type: 'vitrine-find-host';
}

/** First message on a served port; comlink follows. */
export type PortGreeting =
  | { type: 'vitrine-connected'; hostId: string }
  | { type: 'vitrine-refused'; reason: 'protocol_mismatch' | 'no_engine_tab' };

/** Hosting window → service worker: a job has ended whose client may want a webhook call. */
export interface JobEnded {
  type: 'vitrine-job-ended';
  id: JobId;
}

/** Window → service worker: take over from the previous release. */
export interface SkipWaiting {
  type: 'SKIP_WAITING';
}

/** From a page without a controller, to the active worker: take it over. */
export interface ClaimPages {
  type: 'vitrine-claim';
}
