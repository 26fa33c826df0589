import axe from 'axe-core';
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import type { Page } from '@playwright/test';
import { call, expect, test } from './app.ts';

async function generate(page: Page, prompt: string, seed: number): Promise<void> {
  const { status } = await call(page, 'sdapi/v1/txt2img', {
    prompt,
    seed,
    steps: 1,
    width: 256,
    height: 256,
  });
  expect(status).toBe(200);
}

async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: injected } = window as Window & typeof globalThis & { axe: typeof axe };
    const results = await injected.run();
    return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

test('a person keeps order among images: searches, deletes, undoes, restores, downloads', async ({
  app,
  server,
}) => {
  for (const [index, prompt] of ['red apple', 'green frog', 'red rocket'].entries())
    await generate(app, prompt, index + 1);
  await app.getByRole('link', { name: 'Gallery' }).click();
  await expect(app).toHaveTitle('Gallery · Vitrine');
  const images = app.getByRole('button', { name: /^View large: / });
  await expect(images).toHaveCount(3);

  // Search, look at one, and go back.
  await app.getByRole('searchbox', { name: 'Search in prompts' }).fill('red');
  await expect(images).toHaveCount(2);
  await images.first().click();
  const dialog = app.getByRole('dialog', { name: 'Image: red rocket' });
  await expect(dialog).toBeVisible();
  // Saved by the browser's own menu, it has a name.
  await expect(dialog.getByRole('img')).toHaveAttribute('src', /\/gallery\/.+\/red-rocket-3\.png$/);
  await expect
    .poll(() => dialog.getByRole('img').evaluate((image: HTMLImageElement) => image.naturalWidth))
    .toBe(256);
  await app.keyboard.press('ArrowRight');
  await expect(app.getByRole('dialog', { name: 'Image: red apple' })).toBeVisible();
  expect(await findViolations(app)).toEqual([]);
  await app.goBack();
  await expect(app.getByRole('dialog')).toHaveCount(0);
  await expect(app).toHaveURL(/#\/gallery$/);
  await app.getByRole('searchbox', { name: 'Search in prompts' }).fill('');
  await expect(images).toHaveCount(3);

  // Delete two, undo; delete one, and restore it from the bin.
  await images.first().click({ modifiers: ['ControlOrMeta'] });
  await app.getByRole('button', { name: /^Select: green frog/ }).click();
  await app.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect(images).toHaveCount(1);
  await app.getByRole('button', { name: 'Undo' }).click();
  await expect(images).toHaveCount(3);
  await images.first().focus();
  await app.keyboard.press('Delete');
  await expect(images).toHaveCount(2);
  await app.reload();
  await expect(images).toHaveCount(2);
  await app.getByRole('button', { name: 'Recently deleted' }).click();
  await app.getByRole('button', { name: /red rocket/ }).click();
  expect(await findViolations(app)).toEqual([]);
  await app.getByRole('button', { name: 'Restore' }).click();
  await expect(app.getByText('Nothing was deleted in the last 24 hours.')).toBeVisible();
  await app.getByRole('button', { name: 'Back to the gallery' }).click();
  await expect(images).toHaveCount(3);

  // All of them as one file.
  const downloading = app.waitForEvent('download');
  await app.getByRole('button', { name: 'Download all as ZIP' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toMatch(/^vitrine-.*\.zip$/);
  const entries = unzipSync(new Uint8Array(readFileSync(await download.path())));
  expect(Object.keys(entries).sort()).toEqual(['green-frog-2.png', 'red-apple-1.png', 'red-rocket-3.png']);

  // An address leads to its image.
  await images.first().click();
  const address = app.url();
  await app.goto('about:blank');
  await app.goto(address);
  await expect(app.getByRole('dialog', { name: 'Image: red rocket' })).toBeVisible();
  await app.goto(`${server.origin}/?prompt=a%20blue%20whale#/create`);
  await expect(app.getByLabel('Prompt', { exact: true })).toHaveValue('a blue whale');
  await expect(app).toHaveURL(`${server.origin}/#/create`);
});

test('the API log opens: what was sent, what was answered, and the same again', async ({ app, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await app.getByRole('link', { name: 'API', exact: true }).click();
  await expect(app.getByText(/openapi\.json/)).toBeVisible();
  await generate(app, 'yellow star', 7);
  const rows = app.getByRole('button', { name: /POST \/sdapi\/v1\/txt2img/ });
  await expect(rows).toHaveCount(1);
  // What the panel itself asks for is not among them.
  await expect(app.getByRole('button', { name: /GET \/openapi\.json/ })).toHaveCount(0);
  await rows.first().click();
  await expect(app.getByRole('region', { name: 'Sent' })).toContainText('"prompt": "yellow star"');
  await expect(app.getByRole('region', { name: 'Answered' }).getByRole('img')).toBeVisible();
  expect(await findViolations(app)).toEqual([]);
  await app.getByRole('button', { name: 'Copy as curl' }).click();
  const command = await app.evaluate(() => navigator.clipboard.readText());
  expect(command).toContain("curl -X POST \\\n  'http://127.0.0.1:7860/sdapi/v1/txt2img'");
  expect(command).toContain('"prompt":"yellow star"');
  await app.getByRole('button', { name: 'Send again' }).click();
  await expect(rows).toHaveCount(2);
});
