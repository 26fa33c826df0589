import { AppError } from '#protocol/error.ts';
import {
  hostOfUpstream,
  type AskServers,
  type ServersQuestion,
  type ServersReply,
  type ServersView,
} from '#protocol/other-servers.ts';

/** Asks whoever keeps the settings of other servers. */
export type AskKeeper = (question: ServersQuestion) => Promise<ServersReply>;

/** The service worker keeps them: it is the only one that talks to other servers. */
async function askServiceWorker(question: ServersQuestion): Promise<ServersReply> {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const reply = new Promise<ServersReply>((resolve) => {
    port1.onmessage = ({ data }: MessageEvent<ServersReply>) => resolve(data);
  });
  active?.postMessage({ type: 'vitrine-servers', question } satisfies AskServers, [port2]);
  return reply.finally(() => port1.close());
}

/** The servers that may answer in this tab's place, and the hosts in whose place it answers. */
export class ServerSettings {
  #view = $state.raw<ServersView | null>(null);
  readonly #ask: AskKeeper;

  constructor(ask: AskKeeper = askServiceWorker) {
    this.#ask = ask;
  }

  /** Null until it is known. */
  get view(): ServersView | null {
    return this.#view;
  }

  /** The hosts that requests may be sent to. */
  get hostsInUse(): string[] {
    const upstreams = this.#view?.apis.map(({ upstream }) => upstream) ?? [];
    return upstreams.flatMap((upstream) => {
      const host = upstream.rule === 'never' ? null : hostOfUpstream(upstream);
      return host === null ? [] : [host];
    });
  }

  /** @returns the outcome of a test, for people. @throws AppError why nothing was changed, or what is wrong with a server */
  async ask(question: ServersQuestion): Promise<string> {
    const reply = await this.#ask(question);
    if ('error' in reply) throw AppError.fromData(reply.error);
    this.#view = reply.servers;
    return reply.message ?? '';
  }

  /** Reads what is kept; without an answer nothing is shown. */
  async load(): Promise<void> {
    if (!('serviceWorker' in navigator) && this.#ask === askServiceWorker) return;
    await this.ask({ ask: 'list' }).catch(() => undefined);
  }
}
