import path from 'node:path';
import { test as base, type Page } from '@playwright/test';
import { serveFolder, type StaticServer } from '../support/server.ts';

const DIST = path.resolve(import.meta.dirname, '../../dist');

/** Opens the app in a tab and waits until the service worker answers for it. */
export async function openApp(page: Page, address: string): Promise<Page> {
  await page.goto(address);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  return page;
}

/** Sets the number of steps, which is among the settings that are folded away. */
export async function setSteps(page: Page, steps: number): Promise<void> {
  const field = page.getByRole('spinbutton', { name: 'Steps' });
  if (!(await field.isVisible())) await page.getByText('Advanced').click();
  await field.fill(String(steps));
}

/** An answer of the API, as a page got it. */
export interface Answer<Body> {
  status: number;
  headers: Record<string, string>;
  body: Body;
}

/** Calls the API as code on a page would. `body` makes it a POST of JSON. */
export function call<Body>(page: Page, address: string, body?: unknown): Promise<Answer<Body>> {
  return page.evaluate(
    async ({ address, body }) => {
      const response = await fetch(
        address,
        body === undefined
          ? {}
          : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) },
      );
      const text = await response.text();
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: (text === '' ? null : JSON.parse(text)) as Body,
      };
    },
    { address, body },
  );
}

/** Bytes of an image the app serves. */
export async function fetchBytes(page: Page, address: string): Promise<Uint8Array> {
  const bytes = await page.evaluate(
    async (url) => [...new Uint8Array(await (await fetch(url)).arrayBuffer())],
    address,
  );
  return new Uint8Array(bytes);
}

/** The files of the images that the app keeps, the newest first. */
export function storedImages(page: Page, count: number): Promise<number[][]> {
  return page.evaluate(async (count) => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('vitrine-images');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error('The images cannot be opened.'));
    });
    const stored = await new Promise<{ createdAt: number; blob: Blob }[]>((resolve, reject) => {
      const request = database.transaction('images').objectStore('images').getAll();
      request.onsuccess = () => resolve(request.result as { createdAt: number; blob: Blob }[]);
      request.onerror = () => reject(new Error('The images cannot be read.'));
    });
    database.close();
    const newest = stored.sort((a, b) => b.createdAt - a.createdAt).slice(0, count);
    return Promise.all(newest.map(async ({ blob }) => [...new Uint8Array(await blob.arrayBuffer())]));
  }, count);
}

interface Fixtures {
  server: StaticServer;
  /** The app, open in one tab. */
  app: Page;
}

interface SharedFixtures {
  /** The app for tests that only ask it for images: its model is fetched and loaded once for all of them. */
  studio: Page;
}

/** Tests on the built app, each with an origin and a browser profile of its own, but for {@link SharedFixtures.studio}. */
export const test = base.extend<Fixtures, SharedFixtures>({
  studio: [
    async ({ browser }, use) => {
      const server = await serveFolder(DIST);
      const context = await browser.newContext();
      await use(await openApp(await context.newPage(), server.origin));
      await context.close();
      await server.close();
    },
    { scope: 'worker' },
  ],
  server: async ({}, use) => {
    const server = await serveFolder(DIST);
    await use(server);
    await server.close();
  },
  app: async ({ page, server }, use) => {
    await use(await openApp(page, server.origin));
  },
});

export { expect } from '@playwright/test';
