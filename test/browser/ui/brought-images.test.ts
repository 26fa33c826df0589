import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { drop, imageFile, paste } from '../../support/brought.ts';
import {
  connectDemoHost,
  demoAddOn,
  demoModel,
  openDemoHost,
  type DemoHostOptions,
} from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

const INFOTEXT = `a harbour at noon
Negative prompt: fog
Steps: 31, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 77, Size: 640x448, Model: watercolours-v2, Denoising strength: 0.4, Hires upscale: 1.5, Hires upscaler: Latent, VAE: lost.safetensors, Version: v1.10.1`;

const dialog = page.getByRole('dialog');
const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, ...options });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await expect.element(page.getByRole('button', { name: /^Generate/ })).toBeEnabled();
  return host;
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('a dropped image of A1111 fills the form; what is not installed is named', async () => {
  location.hash = '#/settings';
  const host = await openDemoHost({ stepMs: 2, packs: [demoModel] });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await expect.element(page.getByRole('heading', { level: 1 })).toBeInTheDocument();
  await expect.poll(async () => (await host.models()).length, PATIENCE).toBe(2);
  drop(imageFile('harbour.png', [64, 48], undefined, { parameters: INFOTEXT }));
  await expect.element(dialog).toHaveAccessibleName('harbour.png');
  await expect.element(dialog.getByText('Made with A1111')).toBeVisible();
  await expect.element(dialog.getByText('640 × 448 · 31 steps · Euler a')).toBeVisible();
  await dialog.getByRole('button', { name: 'Use its settings' }).click();
  await expect.poll(() => location.hash).toBe('#/create');
  await expect.element(prompt).toHaveValue('a harbour at noon');
  await expect.element(page.getByText('Left out because not installed: lost.safetensors.')).toBeVisible();
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect
    .poll(async () => (await host.jobs())[0]?.job, PATIENCE)
    .toMatchObject({
      images: [{ prompt: ['a harbour at noon'], negativePrompt: ['fog'], seed: 77n }],
      init: { from: 'noise' },
      passes: [
        {
          model: 'watercolours-v2',
          size: { width: 640, height: 448 },
          steps: 31,
          guidanceScale: 5.5,
          strength: 1,
          sampler: { sampler: 'euler_ancestral', schedule: 'karras' },
        },
        { size: { width: 960, height: 672 }, resizeBy: 'Latent', strength: 0.4, exactSteps: true },
      ],
    });
});

test('pasted images start an image-to-image job, one for each', async () => {
  const host = await open({ packs: [demoModel] });
  paste(imageFile('first.png', [64, 64]), imageFile('second.png', [64, 64]));
  await expect.element(dialog).toHaveAccessibleName('2 images');
  const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  await dialog.getByRole('button', { name: 'Start from these' }).click();
  await expect.element(page.getByRole('radio', { name: 'Image', exact: true })).toBeChecked();
  await page.getByRole('radio', { name: '2 images' }).click({ force: true });
  await page.getByRole('slider', { name: 'Denoising strength' }).fill('0.35');
  await prompt.fill('a harbour');
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect.poll(async () => (await host.jobs()).length, PATIENCE).toBe(1);
  const job = (await host.jobs())[0]?.job;
  expect(job).toMatchObject({ init: { from: 'image', fit: 'crop' }, passes: [{ strength: 0.35 }] });
  if (job?.task !== 'generate' || job.init.from === 'noise') throw new Error('An image job was expected.');
  expect(job.images.length).toBe(4);
  const bytes = await Promise.all(job.init.images.map(async (blob) => (await blob.arrayBuffer()).byteLength));
  expect(bytes.length).toBe(4);
});

test('a dropped image becomes a control image for the ControlNet that is here', async () => {
  const host = await open({ packs: [demoModel, demoAddOn('controlnet', 'canny')] });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  drop(imageFile('street.png', [64, 64]));
  await dialog.getByRole('button', { name: 'Control image' }).click();
  const card = page.getByRole('group', { name: 'Control image 1' });
  await card.getByText('1.00').click();
  await card.getByRole('spinbutton', { name: 'Strength' }).fill('0.7');
  await prompt.fill('a street');
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect
    .poll(async () => (await host.jobs())[0]?.job, PATIENCE)
    .toMatchObject({ controls: [{ id: 'canny', strength: 0.7, preprocessor: { kind: 'canny' } }] });
});

test('a file that is no image is said to be none', async () => {
  await open();
  drop(new File(['not an image'], 'broken.png', { type: 'image/png' }));
  await expect
    .element(page.getByText('broken.png could not be read as an image. Use a PNG, JPEG or WebP file.'))
    .toBeVisible();
  expect(dialog.elements().filter((element) => element.hasAttribute('open'))).toEqual([]);
});
