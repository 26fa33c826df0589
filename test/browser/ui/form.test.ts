import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { modeNames, modes } from '#ui/panels/create/form/modes.ts';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import {
  connectDemoHost,
  demoAddOn,
  demoModel,
  openDemoHost,
  type DemoHostOptions,
} from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

const generate = page.getByRole('button', { name: /^Generate/ });
const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
const images = page.getByRole('button', { name: /^View large: .*, seed/ });
const otherModel = { ...demoModel, id: 'oils-v1', title: 'oils-v1' };

async function show(host: EngineHost): Promise<void> {
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  document.body.replaceChildren();
  await render(App, { status });
  await expect.element(generate).toBeEnabled();
}

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, ...options });
  await show(host);
  return host;
}

const jobsOf = (host: EngineHost) => async () => (await host.jobs()).map(({ job }) => job);

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('what is typed and chosen survives a reload', async () => {
  const host = await open({ packs: [demoModel] });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await prompt.fill('a harbour at noon');
  await page.getByRole('textbox', { name: 'Seed' }).fill('-1');
  await page.getByText('Advanced').click();
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('13');
  await page.getByRole('radio', { name: 'Image', exact: true }).click({ force: true });
  await show(host);
  await expect.element(page.getByRole('radio', { name: 'Image', exact: true })).toBeChecked();
  await expect.element(prompt).toHaveValue('a harbour at noon');
  await expect.element(page.getByText('13 steps')).toBeVisible();
});

test('images are generated in tiles where that is asked for, in every pass', async () => {
  const host = await open({ packs: [demoModel, demoAddOn('upscaler', 'sharp')] });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await prompt.fill('a harbour');
  await page.getByText('Advanced').click();
  await page.getByRole('checkbox', { name: /^Generate in tiles/ }).click();
  const size = page.getByRole('spinbutton', { name: 'Tile size' });
  await expect.element(size).toHaveValue(768);
  await size.fill('512');
  await page.getByRole('button', { name: 'Hires fix' }).click();
  await generate.click();
  const tiles = { size: 512, overlap: 128 };
  await expect.poll(jobsOf(host), PATIENCE).toMatchObject([{ passes: [{ tiles }, { tiles }] }]);
  await page.getByRole('checkbox', { name: /^Seamless/ }).click();
  await expect.element(size).not.toBeInTheDocument();
});

test('hires fix, refiner and restored faces are cards that can be taken away', async () => {
  const host = await open({ packs: [demoModel, otherModel, demoAddOn('upscaler', 'sharp')] });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await prompt.fill('a harbour');
  await page.getByRole('button', { name: 'Hires fix' }).click();
  await page.getByRole('button', { name: 'Refiner' }).click();
  const hires = page.getByRole('group', { name: 'Hires fix' });
  await hires.getByText('2 × · 1024 × 1536').click();
  await hires.getByRole('spinbutton', { name: 'Scale' }).fill('1.5');
  const refiner = page.getByRole('group', { name: 'Refiner' });
  await refiner.getByText('oils-v1 · from 80 %').click();
  await refiner.getByRole('spinbutton', { name: 'Switch at' }).fill('0.7');
  await page.getByRole('button', { name: 'Restore faces' }).click();
  const faces = page.getByRole('group', { name: 'Restore faces' });
  await faces.getByText('Restore faces').click();
  await faces.getByRole('spinbutton', { name: 'Visibility' }).fill('0.5');
  await page.getByRole('button', { name: 'Remove Restore faces' }).click();
  await expect.element(faces).not.toBeInTheDocument();
  await generate.click();
  await expect.poll(jobsOf(host), PATIENCE).toMatchObject([
    {
      passes: [
        {
          size: { width: 512, height: 768 },
          refiner: { model: 'oils-v1', switchAt: 0.7, counts: 'timestep' },
        },
        { size: { width: 768, height: 1152 }, resizeBy: 'sharp', steps: 25, strength: 0.6, exactSteps: true },
      ],
      output: {
        metadata: {
          extra: [
            ['Hires upscale', '1.5'],
            ['Hires upscaler', 'sharp'],
            ['Refiner', 'oils-v1'],
            ['Refiner switch at', '0.7'],
          ],
        },
      },
    },
  ]);
  await page.getByRole('button', { name: 'Remove Hires fix' }).click();
  await expect.element(hires).not.toBeInTheDocument();
});

test('a number out of range is named beside its field, and nothing is queued', async () => {
  const host = await open();
  await prompt.fill('a red apple');
  await page.getByText('Advanced').click();
  const steps = page.getByRole('spinbutton', { name: 'Steps' });
  await steps.fill('500');
  await expect.element(page.getByText('Enter a number from 1 to 150.')).toBeVisible();
  await generate.click();
  await expect.element(steps).toHaveFocus();
  await expect.element(steps).toHaveValue(500);
  expect(await host.jobs()).toEqual([]);
  await steps.fill('5');
  await generate.click();
  await expect.poll(jobsOf(host), PATIENCE).toMatchObject([{ passes: [{ steps: 5 }] }]);
});

test('a double click queues one job', async () => {
  const host = await open({ stepMs: 20 });
  await prompt.fill('a red apple');
  await generate.dblClick();
  await expect.element(images).toBeInTheDocument();
  expect((await host.jobs()).length).toBe(1);
});

test('the button says at once that a job is stopping', async () => {
  await open({ stepMs: 1500 });
  await prompt.fill('slow image');
  await generate.click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect.element(page.getByRole('button', { name: 'Stopping…' })).toBeDisabled();
  await expect.element(page.getByRole('button', { name: 'Stopping…' })).not.toBeInTheDocument();
});

test('progress is shown at most four times a second', async () => {
  await open({ stepMs: 8 });
  await prompt.fill('a red apple');
  await page.getByText('Advanced').click();
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('150');
  const shown = new Set<string>();
  const observer = new MutationObserver(() => {
    const [step] = /Step \d+ of 150/.exec(document.body.textContent) ?? [];
    if (step !== undefined) shown.add(step);
  });
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  const start = performance.now();
  await generate.click();
  await expect.element(images).toBeInTheDocument();
  observer.disconnect();
  const quarters = (performance.now() - start) / 250;
  expect(shown.size).toBeGreaterThan(1);
  // The first one comes at once.
  expect(shown.size).toBeLessThanOrEqual(quarters + 2);
});

for (const mode of modeNames) {
  test(`${modes[mode].label}: the button is in sight on a small laptop and on a phone, and axe finds nothing`, async () => {
    await open({ packs: [demoModel, demoAddOn('lora', 'ink')] });
    await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
    await prompt.fill('a red apple');
    await generate.click();
    await expect.element(images).toBeInTheDocument();
    await page.getByRole('radio', { name: modes[mode].label, exact: true }).click({ force: true });
    const button = page
      .getByRole('form', { name: 'What to create' })
      .getByRole('button', { name: modes[mode].action });
    for (const [width, height] of [
      [1280, 720],
      [390, 844],
    ] as const) {
      await page.viewport(width, height);
      await expect.poll(() => button.element().getBoundingClientRect().bottom).toBeLessThanOrEqual(height);
      expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(width);
      const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    }
  });
}
