import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, demoModel, openDemoHost } from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };
const WIDTH = 390;
const HEIGHT = 844;

const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
const generate = page.getByRole('button', { name: 'Generate', exact: true });
const chips = page.getByRole('group', { name: 'Settings' });
const stage = page.getByRole('region', { name: 'Stage' });

async function open(stepMs = 2): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs, packs: [demoModel] });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  document.body.replaceChildren();
  await render(App, { status });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await prompt.fill('a harbor');
  return host;
}

const jobsOf = (host: EngineHost) => async () => (await host.jobs()).map(({ job }) => job);

/** Elements that scroll up and down within the page. */
const scrollers = () =>
  [...document.querySelectorAll('main *')].filter(
    (element) =>
      /auto|scroll/.test(getComputedStyle(element).overflowY) &&
      element.tagName !== 'TEXTAREA' &&
      element.scrollHeight > element.clientHeight + 1,
  );

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(WIDTH, HEIGHT);
});

afterEach(() => localStorage.clear());

test('image, modes, prompt, chips and the button fit on one screen; chips open half sheets', async () => {
  const host = await open();
  await chips.getByRole('button', { name: 'Images: 1 ×' }).click();
  const sheet = page.getByRole('dialog', { name: 'Images' });
  await sheet.getByRole('radio', { name: '2 images' }).click({ force: true });
  await sheet.getByRole('textbox', { name: 'Seed' }).fill('7');
  const { violations } = await axe.run('dialog[open]');
  expect(violations.map(({ id }) => id)).toEqual([]);
  await sheet.getByRole('button', { name: 'Close' }).click();
  await expect.element(chips.getByRole('button', { name: 'Images: 2 ×' })).toBeVisible();
  await generate.click();
  await expect.poll(jobsOf(host), PATIENCE).toMatchObject([{ images: [{ seed: 7n }, { seed: 8n }] }]);
  await expect.element(generate).toBeVisible();
  scrollTo(0, 0);
  const { bottom } = chips.element().getBoundingClientRect();
  expect(bottom).toBeLessThanOrEqual(generate.element().getBoundingClientRect().top);
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(WIDTH);
  expect(scrollers()).toEqual([]);
  // A sheet says what is missing, where it can be seen.
  await chips.getByRole('button', { name: 'Add', exact: true }).click();
  const add = page.getByRole('dialog', { name: 'Add' });
  await add.getByRole('button', { name: 'LoRA' }).click();
  await expect.element(add.getByText(/No LoRA for watercolours-v2 is installed/)).toBeVisible();
});

for (const theme of ['light', 'dark']) {
  test(`axe finds nothing in any sheet or dialog, ${theme}`, async () => {
    localStorage.setItem('vitrine.theme', theme);
    await open();
    const check = async (name: string) => {
      const { violations } = await axe.run(page.getByRole('dialog', { name }).element());
      expect(
        violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
        name,
      ).toEqual([]);
    };
    for (const name of ['Size', 'Images', 'Add', 'Advanced', 'Styles']) {
      await chips.getByRole('button', { name: new RegExp(`^${name}`) }).click();
      if (name === 'Styles') await expect.element(page.getByText(/^\d+ styles$/)).toBeVisible();
      await check(name);
      await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click();
    }
    await page.getByRole('button', { name: 'Run options' }).click();
    await page.getByRole('button', { name: 'X/Y/Z plot…' }).click();
    await check('X/Y/Z plot');
    await userEvent.keyboard('{Escape}');
    const dataTransfer = new DataTransfer();
    const canvas = new OffscreenCanvas(64, 64);
    canvas.getContext('2d')?.fillRect(8, 8, 32, 32);
    const image = await canvas.convertToBlob();
    dataTransfer.items.add(new File([image], 'harbor.png', { type: 'image/png' }));
    document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
    await expect.element(page.getByRole('dialog', { name: 'harbor.png' })).toBeVisible();
    await check('harbor.png');
  });
}

test('a value out of range is found in its sheet, and nothing is queued', async () => {
  const host = await open();
  await chips.getByRole('button', { name: 'Advanced' }).click();
  const sheet = page.getByRole('dialog', { name: 'Advanced' });
  await sheet.getByRole('spinbutton', { name: 'Steps' }).fill('500');
  await sheet.getByRole('button', { name: 'Close' }).click();
  await generate.click();
  await expect.element(sheet.getByRole('spinbutton', { name: 'Steps' })).toHaveFocus();
  await expect.element(sheet.getByText('Enter a number from 1 to 150.')).toBeVisible();
  expect(await host.jobs()).toEqual([]);
});

test('the bar turns into progress with Stop; results are swiped through', async () => {
  const host = await open(40);
  await generate.click();
  const form = page.getByRole('form', { name: 'What to create' });
  await expect.element(form.getByRole('progressbar')).toBeVisible();
  await expect.element(generate).not.toBeInTheDocument();
  await form.getByRole('button', { name: 'Stop' }).click();
  await expect.element(generate).toBeVisible();
  expect((await host.jobs()).at(-1)?.stage).toBe('cancelled');
  await chips.getByRole('button', { name: 'Advanced' }).click();
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('1');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  for (const text of ['first harbor', 'second harbor']) {
    await prompt.fill(text);
    await generate.click();
    await expect
      .element(stage.getByRole('button', { name: new RegExp(`^View large: ${text}`) }))
      .toBeVisible();
  }
  const glass = stage.getByRole('button', { name: /^View large/ });
  const finger = (type: string, clientX: number) =>
    glass.element().dispatchEvent(
      new PointerEvent(type, {
        ...{ pointerId: 1, pointerType: 'touch', isPrimary: true, bubbles: true, clientX, clientY: 200 },
      }),
    );
  finger('pointerdown', 300);
  finger('pointerup', 100);
  await expect.element(stage.getByText('2 of 2')).toBeVisible();
  await expect.element(stage.getByRole('button', { name: /^View large: first harbor/ })).toBeVisible();
  await stage.getByRole('button', { name: 'Newer image' }).click();
  await expect.element(stage.getByRole('button', { name: /^View large: second harbor/ })).toBeVisible();
});

test('header and tabs make room while the keyboard is up, with the button above it', async () => {
  await open();
  const visible = window.visualViewport;
  if (!visible) throw new Error('This browser has no visual viewport.');
  const keyboard = (height: number) => {
    Object.defineProperty(visible, 'height', { configurable: true, value: HEIGHT - height });
    visible.dispatchEvent(new Event('resize'));
  };
  const tabs = page.getByRole('navigation', { name: 'Panels' });
  await expect.element(tabs).toBeVisible();
  keyboard(320);
  await expect.element(tabs).not.toBeInTheDocument();
  // It goes with the page.
  scrollTo(0, 30);
  await expect.poll(() => document.querySelector('header')?.getBoundingClientRect().top).toBe(-scrollY);
  expect(scrollY).toBeGreaterThan(0);
  expect(Math.round(generate.element().getBoundingClientRect().bottom)).toBeLessThanOrEqual(HEIGHT - 320);
  keyboard(0);
  await expect.element(tabs).toBeVisible();
  Reflect.deleteProperty(visible, 'height');
});

test('nothing scrolls within the page on a desktop; button, seed and count stay in sight', async () => {
  await open();
  await page.viewport(1280, 720);
  await page.getByRole('heading', { name: 'Advanced' }).click();
  await expect.element(page.getByRole('combobox', { name: 'Sampler' })).toBeInTheDocument();
  expect(scrollers()).toEqual([]);
  for (const top of [0, 200, document.documentElement.scrollHeight]) {
    scrollTo(0, top);
    for (const control of [
      generate,
      page.getByRole('textbox', { name: 'Seed' }),
      page.getByRole('radio', { name: '1 image' }),
    ]) {
      const { top: above, bottom } = control.element().getBoundingClientRect();
      expect(above).toBeGreaterThanOrEqual(0);
      expect(bottom).toBeLessThanOrEqual(720);
    }
  }
});

test('the tools of the editor are one strip', async () => {
  const host = await open();
  await generate.click();
  await expect.poll(async () => (await host.jobs()).at(-1)?.stage, PATIENCE).toBe('done');
  await stage.getByRole('button', { name: 'Edit' }).click();
  const tools = page.getByRole('toolbar', { name: 'Mask tools' });
  await expect.element(tools).toBeVisible();
  expect(tools.element().getBoundingClientRect().height).toBeLessThanOrEqual(72);
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(WIDTH);
});
