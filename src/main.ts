import { mount } from 'svelte';
import { Workbox } from 'workbox-window';
import { followHost } from '#host/follow-host.ts';
import { AppStatus, type InstallPromptEvent } from '#ui/state/app-status.svelte.ts';
import './app.css';
import { hostEngine } from './hosting.ts';

/** Set for the one reload that brings cross-origin isolation, so that it happens once. */
const RELOADED_KEY = 'vitrine-reloaded-for-isolation';

const status = new AppStatus();

const candidacy = hostEngine();
void followHost(candidacy, (followed) => {
  status.host = followed?.host ?? null;
  status.hostedElsewhere = followed !== null && !followed.here;
});

function watchSurroundings(): void {
  const tellOnline = () => (status.online = navigator.onLine);
  tellOnline();
  addEventListener('online', tellOnline);
  addEventListener('offline', tellOnline);
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    if (isInstallPrompt(event)) status.installPrompt = event;
  });
  addEventListener('appinstalled', () => (status.installPrompt = null));
}

function isInstallPrompt(event: Event): event is InstallPromptEvent {
  return 'prompt' in event && typeof event.prompt === 'function';
}

async function registerServiceWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const script = import.meta.env.DEV ? 'dev-sw.js?dev-sw' : 'sw.js';
  const worker = new Workbox(
    new URL(script, document.baseURI).href,
    import.meta.env.DEV ? { type: 'module' } : {},
  );
  worker.addEventListener('waiting', () => {
    status.applyUpdate = () => {
      worker.addEventListener('controlling', () => location.reload());
      worker.messageSkipWaiting();
    };
  });
  worker.addEventListener('controlling', isolateOnce);
  await worker.register();
}

/**
 * On hosts that send no isolation headers the service worker adds them, from the next load on. The page is
 * loaded again once, and only while nothing has been typed or started.
 */
function isolateOnce(): void {
  if (crossOriginIsolated || sessionStorage.getItem(RELOADED_KEY) !== null) return;
  if (document.querySelector('textarea:focus, input:focus') !== null) return;
  sessionStorage.setItem(RELOADED_KEY, '1');
  location.reload();
}

watchSurroundings();
void registerServiceWorker();

// The host opens while the panels are still being read.
const { default: App } = await import('#ui/App.svelte');
const target = document.getElementById('app');
if (target) mount(App, { target, props: { status } });
