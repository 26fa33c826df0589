/// <reference lib="webworker" />
import { addPlugins, cleanupOutdatedCaches, matchPrecache, precacheAndRoute } from 'workbox-precaching';
import { openLine } from '#api/connection.ts';
import { dialects } from '#api/dialects/index.ts';
import { createApi } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { API_CHANNEL } from '#protocol/api-event.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import type { ClaimPages, FindHost, JobEnded, PortGreeting, SkipWaiting } from '#protocol/connect.ts';
import type { JobId } from '#protocol/job.ts';
import type { AskServers } from '#protocol/other-servers.ts';
import { openKeys } from '#storage/keys.ts';
import { openOtherServers } from '#storage/other-servers.ts';
import { answerForHost } from './client-hosts.ts';
import { connectToHost, expectHost, passToHost } from './find-host.ts';
import { galleryImageOf, serveGalleryImage } from './gallery-images.ts';
import { isolate } from './isolation.ts';
import { createOtherServers } from './other-servers.ts';
import { fromRuntimeCache, isRuntimeFile } from './runtime-cache.ts';
import { restrictWorker } from './worker-policy.ts';

declare const self: ServiceWorkerGlobalScope;

carryErrorCodes();

const base = new URL('./', self.location.href);
const channel = new BroadcastChannel(API_CHANNEL);
const connect = () => connectToHost(self.clients);
const servers = createOtherServers({
  store: openOtherServers(),
  keys: openKeys(),
  origin: self.location.origin,
});
servers.prepare();
const api = createApi({
  connect,
  upstreamOf: (dialect) => servers.upstreamOf(dialect),
  base: base.pathname,
  onRequest: (event) => channel.postMessage(event),
  onBodies: (bodies) => channel.postMessage(bodies),
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('message', (event: ExtendableMessageEvent) => {
  const message = event.data as AskServers | ClaimPages | FindHost | JobEnded | SkipWaiting;
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
    case 'vitrine-servers': {
      const [port] = event.ports;
      event.waitUntil(servers.reply(message.question).then((reply) => port?.postMessage(reply)));
      break;
    }
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
  return restrictWorker(new URL(request.url), isolate(cached ?? (await fetch(request))));
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
  if (url.origin !== self.location.origin) {
    const answer = answerForHost(event.request, { api, servers, base });
    if (answer) event.respondWith(answer);
    return;
  }
  if (event.request.mode === 'navigate') expectHost();
  const image = galleryImageOf(url, base.pathname);
  if (api.ownsPath(url.pathname)) {
    event.respondWith(api.fetch(event.request));
  } else if (image !== undefined) {
    event.respondWith(serveGalleryImage(self.clients, image));
  } else if (isRuntimeFile(url)) {
    event.respondWith(fromRuntimeCache(event.request));
  } else if (event.request.mode === 'navigate' || event.request.destination.endsWith('worker')) {
    event.respondWith(servePage(event.request));
  }
});

// Isolated when they are stored, so that they can be handed over as they are.
addPlugins([
  {
    cacheWillUpdate: ({ response }) => Promise.resolve(response.status < 400 ? isolate(response) : null),
  },
]);
cleanupOutdatedCaches();
precacheAndRoute(self.__WB_MANIFEST);
