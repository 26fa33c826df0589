import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { describer } from '#library/packs/describer.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, demoAddOn, openDemoHost } from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
const dialog = page.getByRole('dialog');
const form = page.getByRole('form', { name: 'What to create' });
const start = form.getByRole('button', { name: 'Describe' });
const withWhat = page.getByLabelText('Describe with');

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('an image of the gallery is described, and the text becomes the prompt', async () => {
  const florence = { ...demoAddOn('captioner', 'florence-2'), family: null, network: 'florence2' };
  const packs = [describer, demoAddOn('tagger', 'wd-tagger'), florence];
  const host = await openDemoHost({ stepMs: 2, packs });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await prompt.fill('a red apple');
  await userEvent.keyboard('{Control>}{Enter}{/Control}');
  await page.getByRole('button', { name: /^View large: .*, seed/ }).click();
  await dialog.getByRole('button', { name: 'Describe' }).click();
  await expect.element(page.getByRole('radio', { name: 'Describe' })).toBeChecked();

  // What was imported goes before what is included, captions before tags.
  await expect.element(withWhat).toHaveValue('florence-2');
  await page.getByLabelText('Length').selectOptions('A paragraph');
  await start.click();
  await expect.element(page.getByText('an image, paragraph by the captioner describer')).toBeVisible();
  await withWhat.selectOptions('wd-tagger');
  expect(page.getByLabelText('Length').elements()).toEqual([]);
  await start.click();
  await expect.element(page.getByText('an image, by the tagger describer')).toBeVisible();
  await withWhat.selectOptions(describer.id);
  await expect.element(page.getByRole('link', { name: 'add a caption model or a tagger' })).toBeVisible();
  await start.click();
  const text = 'an image, by the built-in describer';
  await expect.element(page.getByText(text)).toBeVisible();
  expect((await axe.run(document.body)).violations).toEqual([]);

  await page.getByRole('button', { name: 'Use as prompt' }).click();
  await expect.element(page.getByRole('radio', { name: 'Text', exact: true })).toBeChecked();
  await expect.element(prompt).toHaveValue(text);
  await expect.poll(async () => (await host.gallery(10)).total, PATIENCE).toBe(1);
  // Nothing is kept of what described it.
  await expect
    .poll(async () => (await host.jobs()).map(({ job }) => job.task), PATIENCE)
    .toEqual(['generate']);
});
