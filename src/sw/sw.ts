/// <reference lib="webworker" />
import { cleanupOutdatedCaches, matchPrecache, precacheAndRoute } from 'workbox-precaching';
import { openLine } from '#api/connection.ts';
import { dialects } from '#api/dialects/index.ts';
import { createApi } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { API_CHANNEL } from '#protocol/api-event.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import type { ClaimPages, FindHost, JobEnded, PortGreeting, SkipWaiting } from '#protocol/connect.ts';
import type { JobId } from '#protocol/job.ts';
import { connectToHost, expectHost, passToHost } from './find-host.ts';
import { isolate } from './isolation.ts';
import { fromRuntimeCache, isRuntimeFile } from './runtime-cache.ts';

declare const self: ServiceWorkerGlobalScope;

carryErrorCodes();

const base = new URL('./', self.location.href);
const channel = new BroadcastChannel(API_CHANNEL);
const connect = () => connectToHost(self.clients);
const api = createApi({
  connect,
  base: base.pathname,
  onRequest: (event) => channel.postMessage(event),
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('message', (event: ExtendableMessageEvent) => {
  const message = event.data as ClaimPages | FindHost | JobEnded | SkipWaiting;
  switch (message.type) {
    case 'SKIP_WAITING':
      void self.skipWaiting();
      break;
    case 'vitrine-claim':
      event.waitUntil(self.clients.claim());
      break;
    case 'vitrine-job-ended':
      event.waitUntil(tellWebhook(message.id));
      break;
    case 'vitrine-find-host': {
      const [port] = event.ports;
      if (!port) break;
      event.waitUntil(
        passToHost(self.clients, port).catch(() => {
          port.postMessage({ type: 'vitrine-refused', reason: 'no_engine_tab' } satisfies PortGreeting);
        }),
      );
      break;
    }
  }
});

/** Webhooks go out from here: the policy of the pages lets them reach no other server. */
async function tellWebhook(id: JobId): Promise<void> {
  const line = openLine(connect);
  try {
    const record = await line.ask((host) => host.job(id));
    const url = (path: string) => new URL(path, base).href;
    if (record) await sendWebhook(dialects, { ask: line.ask, url }, record);
  } finally {
    line.close();
  }
}

/** Pages and scripts from the precache, else the network; isolated either way. */
async function servePage(request: Request): Promise<Response> {
  const cached = await matchPrecache(request.mode === 'navigate' ? indexOf(request.url) : request.url);
  return isolate(cached ?? (await fetch(request)));
}

/** `/` and `/?backend=wasm` are the app's page. */
function indexOf(address: string): string {
  const url = new URL(address);
  url.search = '';
  url.hash = '';
  if (url.pathname.endsWith('/')) url.pathname += 'index.html';
  return url.href;
}

// Listeners answer in the order they were added: the API's paths are looked at before any file.
self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== self.location.origin) return;
  if (event.request.mode === 'navigate') expectHost();
  if (api.ownsPath(url.pathname)) {
    event.respondWith(api.fetch(event.request));
  } else if (isRuntimeFile(url)) {
    event.respondWith(fromRuntimeCache(event.request));
  } else if (event.request.mode === 'navigate' || event.request.destination.endsWith('worker')) {
    event.respondWith(servePage(event.request));
  }
});

cleanupOutdatedCaches();
precacheAndRoute(self.__WB_MANIFEST);
