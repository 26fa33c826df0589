import { SvelteMap } from 'svelte/reactivity';
import { API_CHANNEL, type ApiBodies, type ApiEvent, type ApiMessage } from '#protocol/api-event.ts';

/** Older requests than these are forgotten. */
const KEPT = 200;

/** Bytes of all bodies together; beyond that, the oldest are forgotten. */
const MOST_BODY_BYTES = 64_000_000;

const sizeOf = ({ request, response }: ApiBodies) => (request?.size ?? 0) + (response?.size ?? 0);

/** The requests the service worker answers, newest first, from whichever page they came. Kept in memory only. */
export class ApiLog {
  #entries = $state.raw<readonly ApiEvent[]>([]);
  readonly #bodies = new SvelteMap<string, ApiBodies>();

  /** One entry a request: its start until its end is known. */
  get entries(): readonly ApiEvent[] {
    return this.#entries;
  }

  /** What a request and its answer carried; undefined until it is known, and once it is forgotten. */
  bodiesOf(id: string): ApiBodies | undefined {
    return this.#bodies.get(id);
  }

  /** Hears the service worker from now on. @returns what ends it */
  listen(): () => void {
    const channel = new BroadcastChannel(API_CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<ApiMessage>) => {
      if (data.phase === 'bodies') this.#keep(data);
      else this.#add(data);
    };
    return () => channel.close();
  }

  clear(): void {
    this.#entries = [];
    this.#bodies.clear();
  }

  #add(event: ApiEvent): void {
    const known = this.#entries.findIndex(({ id }) => id === event.id);
    if (known >= 0) {
      this.#entries = this.#entries.with(known, event);
      return;
    }
    for (const { id } of this.#entries.slice(KEPT - 1)) this.#bodies.delete(id);
    this.#entries = [event, ...this.#entries].slice(0, KEPT);
  }

  #keep(bodies: ApiBodies): void {
    if (!this.#entries.some(({ id }) => id === bodies.id)) return;
    this.#bodies.set(bodies.id, bodies);
    let bytes = [...this.#bodies.values()].reduce((sum, kept) => sum + sizeOf(kept), 0);
    for (const [id, kept] of this.#bodies) {
      if (bytes <= MOST_BODY_BYTES) break;
      this.#bodies.delete(id);
      bytes -= sizeOf(kept);
    }
  }
}
