import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { speedSetting } from '#protocol/device-speed.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { toSources } from '#ui/panels/models/brought-files.ts';
import { rankCatalogue } from '#ui/panels/models/rank-catalogue.ts';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import {
  connectDemoHost,
  demoAddOn,
  demoEntries,
  openDemoHost,
  demoModel,
  type DemoHostOptions,
} from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, downloadMs: 2, ...options });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  return host;
}

function drop(...names: string[]): void {
  const dataTransfer = new DataTransfer();
  for (const name of names) dataTransfer.items.add(new File(['weights'], name));
  document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
}

const dialog = page.getByRole('dialog');
const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });

const brought = (path: string) => ({ path, file: new File(['x'], path.split('/').at(-1) ?? '') });

beforeEach(async () => {
  location.hash = '#/models';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('files dropped together are offered one after another, and none is lost', async () => {
  location.hash = '#/create';
  const host = await open();
  drop('first.safetensors', 'old.ckpt', 'third-lora.safetensors');
  await expect.poll(() => location.hash).toBe('#/models');
  await expect.element(dialog).toHaveAccessibleName('first');
  await expect.element(dialog.getByText('2 more after this')).toBeVisible();
  await dialog.getByRole('button', { name: 'Skip' }).click();
  await expect.element(dialog).toHaveAccessibleName('old');
  await expect.element(dialog.getByRole('alert')).toHaveTextContent('pickle');
  expect(dialog.getByRole('button', { name: 'Import' }).elements()).toEqual([]);
  await userEvent.keyboard('{Escape}');
  await expect.element(dialog).toHaveAccessibleName('third-lora');
  await dialog.getByRole('button', { name: 'Import' }).click();
  await expect.element(dialog).not.toBeInTheDocument();
  await expect.element(page.getByText('Write <lora:third-lora:1> in a prompt to use it.')).toBeVisible();
  expect((await host.addOns()).map(({ pack }) => pack.id)).toEqual(['third-lora']);
});

test('the costs of each way of keeping a model are told, and the chosen one is kept', async () => {
  const host = await open();
  drop('dreamy.safetensors');
  await expect.element(dialog.getByRole('radio', { name: /^Exact/ })).toBeChecked();
  await expect
    .element(dialog.getByRole('radio', { name: /^Smaller \(8-bit\).*1\.1 GB on disk/ }))
    .toBeInTheDocument();
  await dialog.getByText('Smallest (4-bit)').click();
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('button', { name: 'Use it' }).click();
  await expect.poll(() => location.hash).toBe('#/create');
  const [, model] = await host.models();
  expect(model).toMatchObject({ selected: true, sizeBytes: 0.33 * 2_132_650_000 });
});

test('what a model predicts is asked only where its file does not say', async () => {
  await open();
  drop('plain.safetensors', 'sd-768.safetensors');
  await expect.element(dialog.getByText('Storage format')).toBeVisible();
  expect(dialog.getByText('What it predicts').elements()).toEqual([]);
  await dialog.getByRole('button', { name: 'Skip' }).click();
  await expect.element(dialog.getByText('What it predicts')).toBeVisible();
});

test('an import can be stopped, and goes on with the same file', async () => {
  const host = await open({ downloadMs: 60 });
  drop('dreamy.safetensors');
  await dialog.getByRole('button', { name: 'Import' }).click();
  const card = page.getByRole('article', { name: 'dreamy' });
  await expect.element(card.getByRole('progressbar', { name: 'Import of dreamy' })).toBeInTheDocument();
  await expect.element(card.getByText(/left$/)).toBeInTheDocument();
  await card.getByRole('button', { name: 'Cancel' }).click();
  await card.getByRole('button', { name: /^(Resume|Try again)/ }).click();
  await expect.element(card.getByRole('button', { name: 'Use dreamy' })).toBeInTheDocument();
  expect(await host.models()).toHaveLength(2);
});

test('a model of the catalogue is fetched once its licence is accepted', async () => {
  const host = await open({ catalogue: demoEntries });
  const names = () =>
    page
      .getByRole('article')
      .elements()
      .map((card) => card.querySelector('h3')?.textContent);
  const diffusion = page.getByRole('article', { name: 'Example Diffusion 1.5' });
  await expect.element(diffusion.getByText(/^about \d+ min \(a guess\)$/)).toBeVisible();
  // The CPU of these tests has no float16.
  const turbo = page.getByText('1 model this device cannot run');
  await page.getByRole('button', { name: 'Measure this device' }).click();
  // 25 steps with guidance of 402 billion multiply-adds, and decoding, at 40 billion per second.
  await expect.element(diffusion.getByText('about 9 min', { exact: true })).toBeVisible();
  await expect.element(page.getByText(/^Times as measured on this device/)).toBeVisible();
  expect(names()).toEqual(['Emoji Mini', 'Example Diffusion 1.5']);
  await turbo.click();
  const card = page.getByRole('article', { name: 'Example Turbo' });
  await expect.element(card.getByText('Non-commercial')).toBeVisible();
  await expect.element(card.getByText('Needs float16, which this device does not have.')).toBeVisible();
  await card.getByRole('button', { name: 'Install Example Turbo' }).click();
  const install = dialog.getByRole('button', { name: 'Import' });
  await expect.element(install).toBeDisabled();
  expect(await host.models()).toHaveLength(1);
  await dialog.getByRole('checkbox', { name: /^I accept the licence: Research licence/ }).click();
  await install.click();
  await expect.element(card.getByText('Installed')).toBeVisible();
});

test('the catalogue is sorted by how fast its models are on this device, as measured or guessed', () => {
  const [diffusion, turbo] = demoEntries;
  if (!diffusion || !turbo) throw new Error('There are no entries.');
  const lora = { ...diffusion, id: 'lora', kind: 'lora', values: null } as const;
  const entries = [lora, diffusion, turbo];
  const gpu = { provider: 'webgpu', build: 'jspi', description: 'fast', float16: true } as const;
  const here = { backend: gpu, hasGpu: true, cores: 8 };
  const { running, isMeasured } = rankCatalogue(entries, speedSetting(gpu, 2e12), here);
  expect(isMeasured).toBe(true);
  expect(running.map(({ entry, seconds }) => [entry.id, seconds])).toEqual([
    ['turbo-example', (4 * 402e9 + 1257e9) / 2e12],
    ['sd-example', (50 * 402e9 + 1257e9) / 2e12],
    ['lora', null],
  ]);
  // A measurement holds for the device it was made on.
  const other = { ...here, backend: { ...gpu, description: 'another' } };
  expect(rankCatalogue(entries, speedSetting(gpu, 2e12), other).isMeasured).toBe(false);
});

test('an address is looked at; what is none is refused at once', async () => {
  await open();
  const address = page.getByRole('textbox', { name: 'Or a Hugging Face address' });
  await address.fill('ftp://example.com/a');
  await userEvent.keyboard('{Enter}');
  await expect.element(page.getByText(/^Enter an address that starts with https/)).toBeVisible();
  await address.fill('huggingface.co/owner/some-vae');
  await userEvent.keyboard('{Enter}');
  await expect.element(dialog).toHaveAccessibleName('some-vae');
  await expect.element(dialog.getByRole('checkbox', { name: /^I accept the licence/ })).toBeVisible();
});

test('choosing a model takes over its values and leaves the prompt alone', async () => {
  location.hash = '#/create';
  const host = await open({ packs: [demoModel] });
  await prompt.fill('a harbour');
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await page.getByText('Advanced').click();
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).toHaveValue(25);
  await expect.element(page.getByRole('radio', { name: '512 × 768' })).toBeChecked();
  await expect.element(page.getByRole('combobox', { name: 'Sampler' })).toHaveValue('euler');
  await expect.element(prompt).toHaveValue('a harbour');
  await page.getByRole('button', { name: 'Generate' }).click();
  await expect
    .poll(async () => (await host.jobs())[0]?.job, PATIENCE)
    .toMatchObject({ passes: [{ model: 'watercolours-v2' }] });
});

test('LoRAs, embeddings and VAEs that fit the model are at hand where images are made', async () => {
  location.hash = '#/create';
  const packs = [
    demoModel,
    demoAddOn('lora', 'ink.wash'),
    demoAddOn('embedding', 'easy'),
    demoAddOn('vae', 'clear-vae'),
  ];
  const host = await open({ packs });
  expect(page.getByRole('button', { name: 'easy' }).elements()).toEqual([]);
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  const card = page.getByRole('group', { name: 'LoRA ink.wash' });
  await prompt.fill('a harbour <lora:ink.wash:0.6>');
  await expect.element(card.getByText('0.60')).toBeVisible();
  await card.getByRole('button', { name: 'Remove LoRA ink.wash' }).click();
  await expect.element(prompt).toHaveValue('a harbour');
  await page.getByRole('button', { name: 'LoRA', exact: true }).click();
  await expect.element(prompt).toHaveValue('a harbour <lora:ink.wash:1>');
  await card.getByText('1.00').click();
  await card.getByRole('spinbutton', { name: 'Strength' }).fill('0.8');
  await page.getByRole('button', { name: 'easy' }).click();
  await expect.element(prompt).toHaveValue('a harbour <lora:ink.wash:0.8> easy');
  await page.getByText('Advanced').click();
  await page.getByRole('combobox', { name: 'VAE' }).selectOptions('clear-vae');
  await page.getByRole('button', { name: 'Generate' }).click();
  await expect
    .poll(async () => (await host.jobs())[0]?.job, PATIENCE)
    .toMatchObject({ passes: [{ model: 'watercolours-v2', vae: 'clear-vae' }] });
});

test('an image used again comes with its own model and values', async () => {
  location.hash = '#/create';
  await open({ packs: [demoModel] });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await page.getByText('Advanced').click();
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).toHaveValue(25);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('9');
  await prompt.fill('a harbour');
  await userEvent.keyboard('{Control>}{Enter}{/Control}');
  const image = page.getByRole('button', { name: /^View large: a harbour, seed/ });
  await expect.element(image).toBeInTheDocument();
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('Emoji Mini');
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).toHaveValue(10);
  await image.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Use settings' }).click();
  await expect.element(page.getByRole('combobox', { name: 'Model' })).toHaveValue('watercolours-v2');
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).toHaveValue(9);
});

test('jobs asked for before their model has arrived are the host’s at once; stopping the download ends them', async () => {
  location.hash = '#/create';
  const host = await open({ installed: false, downloadMs: 300 });
  for (const text of ['first', 'second']) {
    await prompt.fill(text);
    await userEvent.keyboard('{Control>}{Enter}{/Control}');
  }
  await expect.poll(async () => (await host.unfinishedJobs()).length, PATIENCE).toBe(2);
  await expect.element(page.getByText('It starts when Emoji Mini is installed.')).toBeVisible();
  await expect.element(page.getByText('waits for Emoji Mini', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Cancel the download' }).click();
  await expect.element(page.getByText('This image could not be generated')).toBeVisible();
  expect(await host.unfinishedJobs()).toEqual([]);
});

test('the keys that requests must come with are settings', async () => {
  location.hash = '#/settings';
  const host = await open();
  await page.getByRole('textbox', { name: 'itsrose key' }).fill('secret');
  await page.getByRole('spinbutton', { name: 'ModelsLab waits, in seconds' }).fill('60');
  await userEvent.keyboard('{Tab}');
  await expect
    .poll(() => host.settings(), PATIENCE)
    .toEqual({ 'itsrose.key': 'secret', 'modelslab.wait_seconds': 60 });
});

test('a folder with the parts of one model stays together; files of weights are each their own', () => {
  const pipeline = ['turbo/model_index.json', 'turbo/unet/model.onnx', 'turbo/README.md'].map(brought);
  const loras = ['Lora/ink.safetensors', 'Lora/ink.txt', 'Lora/more/oil.safetensors'].map(brought);
  const sources = toSources([...pipeline, ...loras, brought('loose.safetensors')]);
  expect(
    sources.map(({ name, source }) => [
      name,
      source.from === 'files' ? source.files.map(({ path }) => path) : [],
    ]),
  ).toEqual([
    ['turbo', ['turbo/model_index.json', 'turbo/unet/model.onnx', 'turbo/README.md']],
    ['ink.safetensors', ['ink.safetensors']],
    ['oil.safetensors', ['oil.safetensors']],
    ['loose.safetensors', ['loose.safetensors']],
  ]);
});

const everything = [
  demoModel,
  demoAddOn('lora', 'ink'),
  demoAddOn('vae', 'clear'),
  demoAddOn('upscaler', '4x'),
];

for (const theme of ['light', 'dark']) {
  test(`axe finds nothing in full lists, an offer, a refusal and a question of licence, ${theme}`, async () => {
    localStorage.setItem('vitrine.theme', theme);
    await open({ packs: everything, catalogue: demoEntries });
    const check = async () => {
      const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    };
    await page.getByText('1 model this device cannot run').click();
    await check();
    drop('sd-768-inpaint.safetensors', 'old.ckpt');
    await expect.element(dialog.getByText('What it predicts')).toBeVisible();
    await check();
    await userEvent.keyboard('{Escape}');
    await expect.element(dialog.getByRole('alert')).toBeVisible();
    await check();
    await userEvent.keyboard('{Escape}');
    await page.getByRole('button', { name: 'Install Example Turbo' }).click();
    await expect.element(dialog.getByRole('checkbox')).toBeVisible();
    await check();
  });
}

test('lists, sheet and chips stay within a small phone', async () => {
  await page.viewport(360, 640);
  await open({ packs: everything, catalogue: demoEntries });
  await page.getByText('1 model this device cannot run').click();
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(360);
  drop('a-very-long-name-without-any-space-or-hyphen_of_a_model_that_somebody_made_v12.safetensors');
  await expect.element(dialog.getByRole('button', { name: 'Import' })).toBeVisible();
  expect(document.querySelector('dialog[open]')?.scrollWidth).toBeLessThanOrEqual(360);
});
