import { API_CHANNEL, type ApiEvent } from '#protocol/api-event.ts';

/** Older requests than these are forgotten. */
const KEPT = 200;

/** The requests the service worker answers, newest first, from whichever page they came. */
export class ApiLog {
  #entries = $state.raw<readonly ApiEvent[]>([]);

  /** One entry a request: its start until its end is known. */
  get entries(): readonly ApiEvent[] {
    return this.#entries;
  }

  /** Hears the service worker from now on. @returns what ends it */
  listen(): () => void {
    const channel = new BroadcastChannel(API_CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<ApiEvent>) => this.#add(data);
    return () => channel.close();
  }

  clear(): void {
    this.#entries = [];
  }

  #add(event: ApiEvent): void {
    const known = this.#entries.findIndex(({ id }) => id === event.id);
    this.#entries = known < 0 ? [event, ...this.#entries].slice(0, KEPT) : this.#entries.with(known, event);
  }
}
