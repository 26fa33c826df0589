import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, openDemoHost, type DemoHostOptions } from '../../support/demo-host.ts';
import { FakeHorde } from '../../support/fake-horde.ts';

const PATIENCE = { timeout: 20_000 };

let status: AppStatus;

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, ...options });
  status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  return host;
}

const runsOn = page.getByRole('combobox', { name: 'Runs on' });
const dialog = page.getByRole('dialog', { name: 'Send prompts to the AI Horde?' });
const badge = page.getByRole('link', { name: 'AI Horde is on' });

async function generate(text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill(text);
  await userEvent.keyboard('{Control>}{Enter}{/Control}');
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('nothing is sent before the user has agreed to where it goes', async () => {
  const horde = new FakeHorde(0);
  const host = await open({ horde });
  await runsOn.selectOptions('horde');
  await expect.element(dialog.getByText('aihorde.net', { exact: true })).toBeVisible();
  await dialog.getByRole('button', { name: 'Keep everything here' }).click();
  await expect.element(runsOn).toHaveValue('local');
  await expect.element(badge).not.toBeInTheDocument();
  await generate('a red apple');
  await expect
    .poll(async () => (await host.jobs()).map(({ backend }) => backend), PATIENCE)
    .toEqual(['local']);
  expect(horde.orders).toEqual([]);
});

test('a job runs on the AI Horde, with its place in the queue there, and a badge stays', async () => {
  const horde = new FakeHorde(150);
  const host = await open({ horde });
  await runsOn.selectOptions('horde');
  await dialog.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect.element(runsOn).toHaveValue('horde');
  await expect.element(badge).toBeVisible();
  await page.getByRole('button', { name: 'What does it cost?' }).click();
  await expect.element(page.getByText(/Write a prompt|About 12 kudos/)).toBeVisible();
  await generate('a red apple');
  await expect.element(page.getByText('Number 2 in the queue there', { exact: false })).toBeVisible();
  await expect.element(page.getByText('on AI Horde')).toBeVisible();
  await expect.poll(async () => (await host.jobs()).map(({ stage }) => stage), PATIENCE).toEqual(['done']);
  expect(horde.orders[0]?.job).toMatchObject({ task: 'generate' });
  await expect.element(page.getByRole('button', { name: /^View large: a red apple/ }).first()).toBeVisible();
});

test('two jobs run side by side where either may take them, and each can be stopped', async () => {
  const horde = new FakeHorde(60_000);
  const host = await open({ horde, stepMs: 500 });
  await runsOn.selectOptions('any');
  await dialog.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect.element(runsOn).toHaveValue('any');
  await generate('a red apple');
  await generate('a blue whale');
  await expect.element(page.getByRole('heading', { name: 'At the same time 1' })).toBeVisible();
  await page.getByRole('button', { name: 'Stop: a blue whale' }).click();
  const backends = async () => (await host.jobs()).map(({ backend }) => backend);
  await expect.poll(backends, PATIENCE).toEqual(['local', 'horde']);
});

test('offline, images are generated in this tab, and the app says so', async () => {
  const host = await open();
  await host.updateSettings({ 'horde.allowed': true, 'app.runs_on': 'horde' });
  await expect.element(runsOn, PATIENCE).toHaveValue('horde');
  status.online = false;
  await expect.element(page.getByText('Offline: images are generated in this tab only.')).toBeVisible();
});

test('it is set up, and turned off, in Settings; the key is never shown', async () => {
  const host = await open();
  location.hash = '#/settings';
  const use = page.getByRole('checkbox', { name: 'Use the AI Horde' });
  await use.click();
  await dialog.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect.element(use).toBeChecked();
  const key = page.getByLabelText('API key', { exact: true });
  await key.fill('a secret');
  await userEvent.keyboard('{Enter}');
  await expect.element(page.getByRole('button', { name: 'Delete the key' })).toBeVisible();
  await expect.element(key).toHaveValue('');
  expect(await host.keys()).toEqual(['horde']);
  expect(JSON.stringify(await host.settings())).not.toContain('a secret');
  await page.getByLabelText('Model at the AI Horde').click();
  await page.getByLabelText('Model at the AI Horde').fill('stable_diffusion');
  await userEvent.keyboard('{Tab}');
  await expect.element(page.getByText('1 worker, about 8 s until it is done.')).toBeVisible();
  await use.click();
  await expect.element(badge).not.toBeInTheDocument();
  expect(await host.settings()).toMatchObject({ 'horde.allowed': false, 'app.runs_on': 'local' });
});

test('dialog, picker, badge and settings are accessible', async () => {
  await open();
  const check = async () =>
    (await axe.run(document.body)).violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
  await runsOn.selectOptions('horde');
  await expect.element(dialog).toBeVisible();
  expect(await check()).toEqual([]);
  await dialog.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect.element(badge).toBeVisible();
  expect(await check()).toEqual([]);
  location.hash = '#/settings';
  await expect.element(page.getByLabelText('API key', { exact: true })).toBeVisible();
  expect(await check()).toEqual([]);
});
