import axe from 'axe-core';
import { get } from 'idb-keyval';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { examples } from '#ui/panels/create/form/example-prompts.ts';
import { openFormStore } from '#ui/panels/create/form/form-store.ts';
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

async function show(host: EngineHost): Promise<void> {
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  document.body.replaceChildren();
  await render(App, { status });
  await expect.element(generate).toBeEnabled();
}

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, packs: [demoModel], ...options });
  await show(host);
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  return host;
}

const jobsOf = (host: EngineHost) => async () => (await host.jobs()).map(({ job }) => job);

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('the prompt says how many of its tokens are read, and the negative prompt too, folded', async () => {
  await open();
  await prompt.fill('a harbour at noon');
  await expect.element(page.getByText('4 of 75 tokens')).toBeInTheDocument();
  await prompt.fill(Array(76).fill('red').join(' '));
  await expect.element(page.getByText('76 of 150 tokens')).toBeInTheDocument();
  await page.getByText('Negative prompt').click();
  await page.getByRole('textbox', { name: 'Negative prompt' }).fill('blurry text');
  await page.getByText('Negative prompt').first().click();
  await expect.element(page.getByText('blurry text')).toBeVisible();
  await expect.element(page.getByText('2 of 75 tokens')).toBeInTheDocument();
});

test('an example is a prompt with its seed; the model button says how long an image takes, once measured', async () => {
  const host = await open();
  const [example] = examples;
  await page.getByRole('button', { name: example?.prompt ?? '' }).click();
  await expect.element(prompt).toHaveValue(example?.prompt);
  await expect.element(page.getByRole('textbox', { name: 'Seed' })).toHaveValue(example?.seed);
  await expect.element(page.getByText('Speed here: not measured yet')).toBeVisible();
  await generate.click();
  await expect.element(page.getByText(/^About .* per image here$/)).toBeVisible();
  // From the record, in the next visit.
  await show(host);
  await expect.element(page.getByText(/^About .* per image here$/)).toBeVisible();
  await page.getByRole('radio', { name: '512 × 512' }).click({ force: true });
  await expect.element(page.getByText('Speed here: not measured yet')).toBeVisible();
});

test('what is asked for before the engine is there waits for it; a model that is not here is said first', async () => {
  for (const installed of [true, false]) {
    const host = await openDemoHost({ stepMs: 2, installed });
    const status = new AppStatus();
    document.body.replaceChildren();
    await render(App, { status });
    await prompt.fill('a harbour at noon');
    await userEvent.keyboard('{Control>}{Enter}{/Control}');
    status.host = connectDemoHost(host);
    if (installed) await expect.poll(async () => (await host.jobs()).length, PATIENCE).toBe(1);
    else {
      await expect.element(page.getByText('Emoji Mini has to be downloaded first.')).toBeVisible();
      expect(await host.jobs()).toEqual([]);
    }
  }
});

test('the arrow keys bring back prompts at the edges of the text, also after a reload', async () => {
  const host = await open();
  for (const text of ['first harbour', 'second harbour']) {
    await prompt.fill(text);
    await generate.click();
  }
  await expect.poll(() => get('prompts', openFormStore())).toContain('second harbour');
  await show(host);
  await prompt.fill('a third\nof two lines');
  const values: string[] = [];
  const press = async (key: string) => {
    const before = values.length;
    await userEvent.keyboard(key);
    await expect
      .poll(() => {
        values[before] = (prompt.element() as HTMLTextAreaElement).value;
        return values[before];
      })
      .not.toBe(values[before - 1]);
  };
  // Within the text, the cursor moves.
  await userEvent.keyboard('{ArrowUp}');
  await expect.element(prompt).toHaveValue('a third\nof two lines');
  values.push('a third\nof two lines');
  for (const key of ['{ArrowUp}', '{ArrowUp}', '{ArrowDown}', '{ArrowDown}']) await press(key);
  expect(values.slice(1)).toEqual([
    'second harbour',
    'first harbour',
    'second harbour',
    'a third\nof two lines',
  ]);
});

test('a LoRA for few steps offers the values it is made for', async () => {
  const host = await open({ packs: [demoModel, demoAddOn('lora', 'lcm-lora-sdv1-5')] });
  await prompt.fill('a harbour');
  const offer = page.getByRole('group', { name: 'Few steps' });
  await expect.element(offer).not.toBeInTheDocument();
  await page.getByRole('button', { name: 'LoRA', exact: true }).click();
  await page.getByRole('button', { name: 'Use 6 steps, CFG 1, LCM' }).click();
  await expect.element(offer).not.toBeInTheDocument();
  await generate.click();
  await expect
    .poll(jobsOf(host), PATIENCE)
    .toMatchObject([
      { passes: [{ steps: 6, guidanceScale: 1, sampler: { sampler: 'lcm', schedule: 'sgm_uniform' } }] },
    ]);
});

test('Advanced names what differs from the model’s defaults, and takes it back', async () => {
  await open();
  const summary = page.getByText('the model’s defaults', { exact: true });
  await expect.element(summary).toBeVisible();
  await page.getByRole('radio', { name: '512 × 512' }).click({ force: true });
  await page.getByRole('heading', { name: 'Advanced' }).click();
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('13');
  await page.getByRole('combobox', { name: 'Sampler' }).selectOptions('DDIM');
  await expect.element(page.getByText('13 steps · DDIM', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Reset to the model’s defaults' }).click();
  await expect.element(summary).toBeVisible();
  // The size is chosen elsewhere.
  await expect.element(page.getByRole('radio', { name: '512 × 512' })).toBeChecked();
});

test('a number out of range is not lost when Advanced is closed: generating opens it there', async () => {
  const host = await open();
  await prompt.fill('a harbour');
  await page.getByRole('heading', { name: 'Advanced' }).click();
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('500');
  await page.getByRole('heading', { name: 'Advanced' }).click();
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).not.toBeInTheDocument();
  await generate.click();
  await expect.element(page.getByRole('spinbutton', { name: 'Steps' })).toHaveFocus();
  await expect.element(page.getByText('Enter a number from 1 to 150.')).toBeVisible();
  expect(await host.jobs()).toEqual([]);
});

test('generate forever goes on with what the form says, until its job is stopped', async () => {
  const host = await open({ stepMs: 20 });
  const steps = page.getByRole('spinbutton', { name: 'Steps' });
  await prompt.fill('first harbour');
  await page.getByRole('heading', { name: 'Advanced' }).click();
  await steps.fill('2');
  await page.getByRole('button', { name: 'Run options' }).click();
  await page.getByRole('button', { name: 'Generate forever' }).click();
  const forever = page.getByRole('group', { name: 'Generate forever' });
  await expect.element(forever.getByText(/([2-9]|\d\d) jobs done/)).toBeInTheDocument();
  await prompt.fill('slow harbour');
  await steps.fill('150');
  // It goes on while another panel is open.
  location.hash = '#/gallery';
  const running = async () => (await host.unfinishedJobs()).map(({ job }) => job);
  await expect
    .poll(running, PATIENCE)
    .toMatchObject([{ images: [{ prompt: ['slow harbour'] }], passes: [{ steps: 150 }] }]);
  location.hash = '#/create';
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await expect.element(forever).not.toBeInTheDocument();
  await expect.poll(running, PATIENCE).toEqual([]);
  expect((await host.jobs()).at(-1)?.stage).toBe('cancelled');
});

test('generate forever says what is missing, finishes its last job, and ends with one that fails', async () => {
  const host = await open();
  const start = async () => {
    await page.getByRole('button', { name: 'Run options' }).click();
    await page.getByRole('button', { name: 'Generate forever' }).click();
  };
  const forever = page.getByRole('group', { name: 'Generate forever' });
  await start();
  await expect.element(page.getByText(/Write a prompt first/)).toBeVisible();
  await expect.element(forever).not.toBeInTheDocument();
  await prompt.fill('harbour');
  await start();
  await forever.getByRole('button', { name: 'Stop after this one' }).click();
  await expect.element(forever).not.toBeInTheDocument();
  await expect.poll(async () => (await host.unfinishedJobs()).length, PATIENCE).toBe(0);
  expect((await host.jobs()).at(-1)?.stage).toBe('done');
  await prompt.fill('failure');
  await start();
  await expect.element(page.getByRole('heading', { name: /could not be generated/ })).toBeVisible();
  await expect.element(forever).not.toBeInTheDocument();
});

test('styles are found by their words, shown as chips, and applied to the prompts in sight', async () => {
  const host = await open();
  await prompt.fill('a harbour');
  await page.getByRole('button', { name: 'Styles', exact: true }).click();
  const sheet = page.getByRole('dialog', { name: 'Styles' });
  await sheet.getByRole('searchbox', { name: 'Search styles' }).fill('clay sai');
  await sheet.getByRole('button', { name: 'SAI Craft Clay' }).click();
  const { violations } = await axe.run('dialog[open]');
  expect(violations.map(({ id }) => id)).toEqual([]);
  await sheet.getByRole('button', { name: 'Done' }).click();
  await page.getByText('With styles').click();
  await expect.element(page.getByText(/^clay figure of a harbour, /)).toBeVisible();
  // The tokens of the whole text.
  await expect.element(page.getByText('4 of 75 tokens')).not.toBeInTheDocument();
  await show(host);
  await generate.click();
  await page.getByRole('button', { name: 'Remove style SAI Craft Clay' }).click();
  await generate.click();
  const prompts = async () =>
    (await host.jobs()).map(({ job }) => ('images' in job ? job.images[0]?.prompt[0] : undefined));
  await expect
    .poll(prompts, PATIENCE)
    .toEqual([expect.stringMatching(/^clay figure of a harbour, /), 'a harbour']);

  // The sheet shows what the style does by the newest image that was made with it.
  await expect.poll(async () => (await host.galleryPrompts()).length, PATIENCE).toBe(2);
  await page.getByRole('button', { name: 'Styles', exact: true }).click();
  await sheet.getByRole('searchbox', { name: 'Search styles' }).fill('clay');
  const sample = sheet.getByRole('img', { name: /^Newest image with this style: clay figure of a harbour/ });
  await expect.element(sample).toBeVisible();
  expect(sheet.getByRole('img').elements()).toHaveLength(1);
});

test('a card that is switched off keeps its values and does not count, also after a reload', async () => {
  const host = await open({ packs: [demoModel, demoAddOn('lora', 'ink')] });
  await prompt.fill('a harbour');
  await page.getByRole('button', { name: 'Hires fix' }).click();
  await page.getByRole('button', { name: 'LoRA', exact: true }).click();
  const lora = page.getByRole('group', { name: 'LoRA ink' });
  await lora.getByText('1.00').click();
  await lora.getByRole('spinbutton', { name: 'Strength' }).fill('0.4');
  await expect.element(prompt).toHaveValue('a harbour <lora:ink:0.4>');
  // One is open at a time.
  const hires = page.getByRole('group', { name: 'Hires fix' });
  await hires.getByText('Hires fix').click();
  await expect.element(lora.getByRole('spinbutton', { name: 'Strength' })).not.toBeInTheDocument();
  await hires.getByRole('spinbutton', { name: 'Scale' }).fill('1.5');
  for (const card of [lora, hires]) await card.getByRole('switch').click();
  await expect.element(prompt).toHaveValue('a harbour');
  await show(host);
  await expect.element(lora.getByText('0.40')).toBeVisible();
  await expect.element(lora.getByRole('switch')).not.toBeChecked();
  await generate.click();
  await expect.poll(jobsOf(host), PATIENCE).toHaveLength(1);
  const [plain] = await jobsOf(host)();
  expect(plain).toMatchObject({ images: [{ prompt: ['a harbour'] }] });
  expect(plain && 'passes' in plain && plain.passes).toHaveLength(1);
  for (const card of [lora, hires]) await card.getByRole('switch').click();
  await expect.element(prompt).toHaveValue('a harbour <lora:ink:0.4>');
  await generate.click();
  await expect.poll(jobsOf(host), PATIENCE).toHaveLength(2);
  const [, full] = await jobsOf(host)();
  expect(full).toMatchObject({
    images: [{ prompt: ['a harbour <lora:ink:0.4>'] }],
    passes: [{}, { size: { width: 768, height: 1152 } }],
  });
  await page.getByRole('button', { name: 'Remove LoRA ink' }).click();
  await expect.element(lora).not.toBeInTheDocument();
});
