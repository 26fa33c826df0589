import { isolate } from '#sw/isolation.ts';
import { restrictWorker } from '#sw/worker-policy.ts';
import { BACKENDS } from '#protocol/backends.ts';
import { expect, it } from 'vitest';

const policyOf = (path: string) =>
  restrictWorker(
    new URL(path, 'https://example.org'),
    isolate(new Response('', { headers: { 'Content-Type': 'text/javascript' } })),
  ).headers.get('Content-Security-Policy');

it('lets the worker of the AI Horde connect to the Horde and its images, and to nothing else', () => {
  for (const path of [
    '/some/folder/assets/horde.worker-Ab_1-x.js',
    '/src/host/backends/horde/horde.worker.ts',
  ]) {
    expect(policyOf(path)).toBe(
      `default-src 'none'; script-src 'self'; connect-src 'self' https://${BACKENDS.horde.sentTo} https://*.r2.cloudflarestorage.com`,
    );
  }
});

it('leaves all other scripts as they are', () => {
  for (const path of [
    '/assets/engine.worker-Ab.js',
    '/assets/index-horde.worker.css',
    '/horde.worker-a.js/index.js',
  ])
    expect(policyOf(path)).toBeNull();
});

it('copies what it restricts, and hands on the rest untouched', async () => {
  const stored = new Response('onmessage = null', { status: 203, statusText: 'From elsewhere' });
  const restricted = restrictWorker(new URL('https://example.org/assets/horde.worker-Ab12Cd34.js'), stored);
  expect(stored.headers.has('Content-Security-Policy')).toBe(false);
  expect([restricted.status, restricted.statusText]).toEqual([203, 'From elsewhere']);
  expect(await restricted.text()).toBe('onmessage = null');
  const other = new Response('');
  expect(restrictWorker(new URL('https://example.org/assets/engine.worker-Ab12Cd34.js'), other)).toBe(other);
});
