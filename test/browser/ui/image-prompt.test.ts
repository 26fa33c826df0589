import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { AddOnPack } from '#protocol/model.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { imageFile } from '../../support/brought.ts';
import { connectDemoHost, demoAddOn, demoModel, openDemoHost } from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

const plus: AddOnPack = { ...demoAddOn('ip-adapter', 'ip-plus'), vision: { patch: 1280 } };
const face: AddOnPack = { ...demoAddOn('ip-adapter', 'ip-plus-face'), vision: { patch: 1280 } };
const vitH: AddOnPack = {
  ...demoAddOn('clip-vision', 'vit-h'),
  family: null,
  vision: { embedding: 1024, patch: 1280 },
};

async function open(packs: readonly AddOnPack[]): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, packs: [demoModel, ...packs] });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await expect.element(page.getByRole('button', { name: /^Generate/ })).toBeEnabled();
  await page.getByRole('combobox', { name: 'Model' }).selectOptions(demoModel.id);
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a harbour');
  return host;
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('an image becomes an image prompt, which goes to its IP-Adapter and CLIP vision model', async () => {
  const host = await open([face, plus, vitH]);
  await page.getByLabelText('Image prompt file').upload(imageFile('street.png', [64, 48]));
  const card = page.getByRole('group', { name: 'Image prompt 1' });
  await card.getByText('0.60').click();
  await card.getByRole('combobox', { name: 'IP-Adapter' }).selectOptions('ip-plus');
  await card.getByRole('radio', { name: 'All of it' }).click({ force: true });
  await card.getByRole('spinbutton', { name: 'Weight' }).fill('0.8');
  await card.getByRole('spinbutton', { name: 'To' }).fill('70');
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect
    .poll(async () => (await host.jobs())[0]?.job, PATIENCE)
    .toMatchObject({
      imagePrompts: [{ id: 'ip-plus', clipVision: 'vit-h', fit: 'stretch', weight: 0.8, start: 0, end: 0.7 }],
    });
  await card.getByRole('button', { name: 'Remove Image prompt 1' }).click();
  await expect.element(card).not.toBeInTheDocument();
});

test('what an image prompt needs is said', async () => {
  const host = await open([plus]);
  await page.getByLabelText('Image prompt file').upload(imageFile('street.png', [64, 48]));
  await expect.element(page.getByRole('group', { name: 'Image prompt 1' })).toBeVisible();
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect.element(page.getByText(/ip-plus needs CLIP ViT-H\/14/)).toBeVisible();
  expect(await host.jobs()).toEqual([]);
});
