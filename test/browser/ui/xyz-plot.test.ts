import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { decodePng } from '#codecs/png.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { GenerateJob, Job } from '#protocol/job.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, demoModel, openDemoHost } from '../../support/demo-host.ts';
import { colourOf } from '../../support/fake-engine.ts';

const PATIENCE = { timeout: 20_000 };

const small = { ...demoModel, defaults: { ...demoModel.defaults, width: 64, height: 64, steps: 2 } };
const oils = { ...small, id: 'oils-v1', title: 'oils-v1' };
const dialog = page.getByRole('dialog', { name: 'X/Y/Z plot' });
const running = page.getByRole('group', { name: 'X/Y/Z plot' });
const start = dialog.getByRole('button', { name: 'Generate the plot' });

async function open(stepMs = 2): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs, packs: [small, oils] });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  document.body.replaceChildren();
  await render(App, { status });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions(small.id);
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a harbor at noon');
  return host;
}

async function openDialog(): Promise<void> {
  await page.getByRole('button', { name: 'Run options' }).click();
  await page.getByRole('button', { name: 'X/Y/Z plot…' }).click();
}

async function setAxis(name: 'X' | 'Y' | 'Z', label: string, values: string): Promise<void> {
  await dialog.getByRole('combobox', { name: `${name} axis` }).selectOptions(label);
  await dialog.getByRole('textbox', { name: `${name} values` }).fill(values);
}

const jobsOf = async (host: EngineHost): Promise<Job[]> => (await host.jobs()).map(({ job }) => job);

const isGenerate = (job: Job): job is GenerateJob => job.task === 'generate';

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('each combination of values is generated, and a grid with legends becomes an image of the gallery', async () => {
  const host = await open();
  await openDialog();
  await setAxis('X', 'Seed', '1000-1001');
  await setAxis('Y', 'Prompt S/R', 'noon, night');
  await setAxis('Z', 'Checkpoint name', 'watercolours-v2, oils-v1');
  await expect.element(dialog.getByText('8 images · time not measured yet')).toBeVisible();
  await start.click();
  await expect.element(dialog).not.toBeInTheDocument();
  await expect.poll(async () => (await jobsOf(host)).at(-1)?.task, PATIENCE).toBe('upscale');
  await expect.poll(async () => (await host.jobs()).at(-1)?.stage, PATIENCE).toBe('done');
  await expect.element(running).not.toBeInTheDocument();
  const cells = (await jobsOf(host)).filter(isGenerate);
  // Checkpoints are slow to change: they are in the outermost loop.
  expect(
    cells.map(({ images: [image], passes: [{ model }] }) => [image?.seed, image?.prompt[0], model]),
  ).toEqual(
    ['watercolours-v2', 'oils-v1'].flatMap((model) =>
      ['a harbor at noon', 'a harbor at night'].flatMap((prompt) =>
        [1000n, 1001n].map((seed) => [seed, prompt, model]),
      ),
    ),
  );
  const { items, total } = await host.gallery(1);
  expect(total).toBe(9);
  const [grid] = items;
  expect(grid?.infotext).toContain(
    'Script: X/Y/Z plot, X Type: Seed, X Values: 1000-1001, Fixed X Values: "1000, 1001", Y Type: Prompt S/R',
  );
  // Cells without margins, legends above and before them, and above each grid its checkpoint.
  const pixels = decodePng(new Uint8Array((await grid?.blob.arrayBuffer()) ?? []));
  expect(pixels.width).toBe(2 * (48 + 2 * 64));
  expect(pixels.height).toBeGreaterThan(2 * 64);
  const at = (x: number, y: number) => {
    const place = (y * pixels.width + x) * pixels.channels;
    return [...pixels.data.slice(place, place + 3)];
  };
  expect(at(pixels.width - 1, pixels.height - 1)).toEqual(colourOf(1001n));
  expect(at(pixels.width - 65, pixels.height - 1)).toEqual(colourOf(1000n));
  // Once measured, the time is known.
  await openDialog();
  await expect.element(dialog.getByText(/8 images ·\s+about/)).toBeVisible();
});

test('what is wrong with values is said beside them, and nothing is queued', async () => {
  const host = await open();
  await openDialog();
  await start.click();
  await expect.element(dialog.getByText('Choose what changes along an axis.')).toBeVisible();
  await setAxis('X', 'Steps', '10-500 (+490)');
  await expect.element(dialog.getByText('500 is out of range. Enter numbers from 1 to 150.')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'X values' }).fill('ten');
  await expect.element(dialog.getByText(/"ten" is neither a number nor a range/)).toBeVisible();
  await dialog.getByRole('textbox', { name: 'X values' }).fill('10, 20');
  await setAxis('Y', 'Prompt S/R', 'castle, forest');
  await expect.element(dialog.getByText(/"castle" is in neither prompt/)).toBeVisible();
  await setAxis('Y', 'Sampler', '');
  await start.click();
  const values = dialog.getByRole('textbox', { name: 'Y values' });
  await expect.element(values).toHaveFocus();
  await expect.element(dialog.getByText('Enter values, such as Euler a, DPM++ 2M.')).toBeVisible();
  await dialog.getByRole('combobox', { name: 'Add a value to Y' }).selectOptions('DDIM');
  await expect.element(values).toHaveValue('DDIM');
  await setAxis('Z', 'Seed', '1-400');
  await expect.element(dialog.getByText(/These are 800 images. A plot has at most 500/)).toBeVisible();
  const { violations } = await axe.run('dialog[open]');
  expect(violations.map(({ id }) => id)).toEqual([]);
  await page.viewport(390, 844);
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(390);
  expect(await host.jobs()).toEqual([]);
});

test('a plot that is stopped puts together what there is', async () => {
  const host = await open(60);
  await openDialog();
  await setAxis('X', 'Steps', '2, 150, 3');
  await start.click();
  await expect.element(running.getByText(/^X\/Y\/Z plot: 1 of 3 images/)).toBeVisible();
  await running.getByRole('button', { name: 'Stop the plot' }).click();
  await expect.element(running).not.toBeInTheDocument();
  await expect.poll(async () => (await host.unfinishedJobs()).length, PATIENCE).toBe(0);
  await expect
    .poll(async () => (await jobsOf(host)).map(({ task }) => task), PATIENCE)
    .toEqual(['generate', 'generate', 'upscale']);
  await expect.poll(async () => (await host.gallery(9)).total, PATIENCE).toBe(2);
});
