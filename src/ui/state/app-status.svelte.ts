import type { Remote } from 'comlink';
import type { EngineHost } from '#protocol/engine-host.ts';

/** The event Chromium fires when the app can be installed; not in TypeScript's DOM library. */
export interface InstallPromptEvent extends Event {
  prompt(): Promise<unknown>;
}

/**
 * What the app knows of its surroundings. The composition root writes it; components only read, and call
 * the functions it holds.
 */
export class AppStatus {
  /** Not itself a state: Svelte would ask a remote proxy for marks of its own, and each question crosses. */
  #host: Remote<EngineHost> | null = null;
  #hostChanges = $state(0);

  /** The engine runs in another tab of this browser. */
  hostedElsewhere = $state(false);
  online = $state(true);
  /** Set once a new version waits: reloads into it. */
  applyUpdate = $state.raw<(() => void) | null>(null);
  /** Set while the browser offers installation. */
  installPrompt = $state.raw<InstallPromptEvent | null>(null);

  /** The engine's host; null until connected, replaced when another tab takes over. */
  get host(): Remote<EngineHost> | null {
    // Read for its effect: reading the host subscribes to its changes.
    return this.#hostChanges >= 0 ? this.#host : null;
  }

  set host(host: Remote<EngineHost> | null) {
    this.#host = host;
    this.#hostChanges += 1;
  }
}
