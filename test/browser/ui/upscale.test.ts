import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { textToImage } from '../../support/jobs.ts';
import { connectDemoHost, demoAddOn, openDemoHost, type DemoHostOptions } from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
const images = page.getByRole('button', { name: /^View large: .*, seed/ });
const dialog = page.getByRole('dialog');
const upscale = dialog.getByRole('button', { name: 'Upscale' });
const start = page.getByRole('form', { name: 'What to create' }).getByRole('button', { name: 'Upscale' });

/** The app with one finished image, open in the viewer. */
async function openImage(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, ...options });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await prompt.fill('a red apple');
  await userEvent.keyboard('{Control>}{Enter}{/Control}');
  await images.click();
  await expect.element(dialog).toHaveAccessibleName('Image: a red apple');
  return host;
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('without an upscaling network, Lanczos resizes, and the way to one is shown', async () => {
  const host = await openImage({ packs: [demoAddOn('lora', 'ink')] });
  await upscale.click();
  await expect.element(page.getByRole('link', { name: 'get one in Models' })).toBeVisible();
  await expect.element(page.getByText('256 × 256 becomes 512 × 512.')).toBeVisible();
  await start.click();
  await expect
    .poll(async () => (await host.jobs()).at(-1)?.job, PATIENCE)
    .toMatchObject({ task: 'upscale', post: [{ upscaler: 'Lanczos', size: { factor: 2 } }] });
});

test('an image is upscaled and keeps its caption and seed; queue and stage tell of it', async () => {
  const host = await openImage({ tileMs: 3000, packs: [demoAddOn('upscaler', 'sharp')] });
  const endless = textToImage({ prompt: 'endless', seeds: [1n], steps: 100_000 });
  await host.submit('endless', endless, { client: 'app', requestKey: null });
  await upscale.click();
  await expect.element(dialog).not.toBeInTheDocument();
  await expect.element(page.getByRole('radio', { name: 'Upscale' })).toBeChecked();
  await start.click();
  await expect.element(page.getByText('Upscaling · 1 image')).toBeVisible();
  await host.cancel('endless');
  await expect.element(page.getByRole('img', { name: 'Being upscaled' })).toBeVisible();
  await expect.element(page.getByRole('progressbar', { name: 'Upscaling' })).toBeVisible();
  await expect.element(page.getByText('Tile 1 of 2')).toBeVisible();
  await expect.element(page.getByText('Upscaled · 512 × 512')).toBeVisible();

  const [twice, source] = (await host.gallery(9)).items;
  expect((await host.job(twice?.jobId ?? ''))?.job).toMatchObject({
    task: 'upscale',
    post: [{ kind: 'upscale', upscaler: 'sharp', size: { factor: 2 } }],
    sources: [{ known: { prompt: 'a red apple', infotext: source?.infotext } }],
  });
  expect(twice).toMatchObject({ prompt: 'a red apple', seed: source?.seed });
  await page.getByRole('button', { name: 'Compare with the image before' }).click();
  await expect.element(page.getByRole('slider', { name: 'Before and after' })).toBeVisible();
  await images.first().click();
  await expect.element(dialog).toHaveAccessibleName('Image: a red apple');
  expect(dialog.getByRole('button', { name: 'Use settings' }).elements()).toEqual([]);
});

test('upscaler and factor are chosen', async () => {
  const packs = [demoAddOn('upscaler', 'sharp'), demoAddOn('upscaler', 'smooth')];
  const host = await openImage({ packs });
  await upscale.click();
  await page.getByRole('combobox', { name: 'Upscaler' }).selectOptions('smooth');
  await page.getByText('4 ×').click();
  const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  await start.click();
  await expect
    .poll(async () => (await host.jobs()).at(-1)?.job, PATIENCE)
    .toMatchObject({ task: 'upscale', post: [{ upscaler: 'smooth', size: { factor: 4 } }] });
});

test('the gallery shows large images as small as its cells', async () => {
  const host = await openImage({ packs: [demoAddOn('upscaler', 'sharp')] });
  await upscale.click();
  await page.getByText('4 ×').click();
  await start.click();
  await expect.poll(async () => (await host.gallery(9)).total, PATIENCE).toBe(2);
  await images.first().click();
  await upscale.click();
  await start.click();
  await expect.poll(async () => (await host.gallery(9)).total, PATIENCE).toBe(3);
  const widths = () => images.elements().map((image) => image.querySelector('canvas')?.width);
  await expect.poll(widths, PATIENCE).toEqual([192, 192, 192]);
});
