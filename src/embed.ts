/**
 * `host.js`: for pages of the same origin that are not the app. Including it is enough for the API to be
 * answered: it registers the service worker and lets the page host the engine if no tab does yet.
 */
import { hostEngine } from './hosting.ts';

if ('serviceWorker' in navigator) {
  void navigator.serviceWorker.register(new URL('sw.js', import.meta.url));
}
hostEngine();
