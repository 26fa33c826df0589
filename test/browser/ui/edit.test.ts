import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { decodePng } from '#codecs/png.ts';
import type { MaskedInit } from '#protocol/job.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { editor, openEditor, PATIENCE, submitted } from '../../support/mask-editor.ts';
import { connectDemoHost } from '../../support/demo-host.ts';

const generate = page.getByRole('button', { name: /^Generate/ });
const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });

/** A click of the mouse at a pixel of the image. */
function dab(x: number, y: number): void {
  const image = editor.element().querySelector('img');
  const { left, top, width } = image?.getBoundingClientRect() ?? new DOMRect();
  const scale = width / 64;
  const init = { bubbles: true, pointerId: 1, clientX: left + x * scale, clientY: top + y * scale };
  // A made-up pointer cannot be captured.
  editor.element().setPointerCapture = () => undefined;
  for (const type of ['pointerdown', 'pointermove', 'pointerup'])
    editor.element().dispatchEvent(new PointerEvent(type, { ...init, pointerType: 'mouse', buttons: 1 }));
}

/** How bright the mask is at pixels. */
async function maskAt(
  init: MaskedInit,
  ...points: readonly (readonly [number, number])[]
): Promise<number[]> {
  if (init.mask.kind !== 'image') throw new Error('There is no mask. Send one, or choose sides to outpaint.');
  const { width, channels, data } = decodePng(new Uint8Array(await init.mask.mask.arrayBuffer()));
  return points.map(([x, y]) => data[(y * width + x) * channels] ?? -1);
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('what the brush marks is the mask; the eraser and undo take back', async () => {
  const host = await openEditor();
  await page.getByRole('slider', { name: 'Size' }).fill('10');
  await page.getByRole('slider', { name: 'Feather' }).fill('0');
  dab(10, 10);
  dab(40, 30);
  dab(56, 8);
  await page.getByRole('button', { name: 'Undo (Ctrl+Z)' }).click();
  await page.getByRole('radio', { name: 'Eraser (E)' }).click({ force: true });
  dab(13, 10);
  const init = await submitted(host);
  expect(init).toMatchObject({ rules: 'a1111', fill: 'original', area: 'whole', overlay: true });
  expect(await maskAt(init, [7, 10], [13, 10], [40, 30], [56, 8], [25, 20])).toEqual([255, 0, 255, 0, 0]);
  const [record] = await host.jobs();
  expect(record?.job).toMatchObject({ passes: [{ size: { width: 64, height: 48 }, strength: 0.6 }] });
});

test('soft dabs do not add up', async () => {
  const host = await openEditor();
  await page.getByRole('slider', { name: 'Size' }).fill('20');
  await page.getByRole('slider', { name: 'Feather' }).fill('1');
  for (let repeat = 0; repeat < 5; repeat++) dab(30, 24);
  const [centre = 0, half = 0, outside = 0] = await maskAt(
    await submitted(host),
    [30, 24],
    [35, 24],
    [41, 24],
  );
  expect(centre).toBeGreaterThan(220);
  expect(half).toBeGreaterThan(90);
  expect(half).toBeLessThan(150);
  expect(outside).toBe(0);
});

test('an image is masked by its transparency, and the mask inverted', async () => {
  const host = await openEditor((x) => [200, 100, 50, x < 32 ? 0 : 255]);
  await page.getByRole('button', { name: 'Mask from transparency' }).click();
  await page.getByRole('button', { name: 'Invert the mask' }).click();
  await page.getByRole('button', { name: 'Undo (Ctrl+Z)' }).click();
  await page.getByRole('button', { name: 'Redo (Ctrl+Shift+Z)' }).click();
  expect(await maskAt(await submitted(host), [5, 5], [60, 40])).toEqual([0, 255]);
});

test('an image is extended by numbers, and by nothing but keys a part of it is marked', async () => {
  const host = await openEditor();
  await page.getByText('Extend the image', { exact: true }).click();
  await page.getByRole('spinbutton', { name: 'Right' }).fill('20');
  await expect.element(page.getByText('Enter a multiple of 8.')).toBeVisible();
  await page.getByRole('spinbutton', { name: 'Right' }).fill('32');
  editor.element().focus();
  await userEvent.keyboard('{ArrowRight}{ArrowDown}[Space>][ArrowRight][/Space]');
  const init = await submitted(host);
  expect(init).toMatchObject({ expand: { left: 0, top: 0, right: 32, bottom: 0 }, fill: 'fill' });
  const [marked = 0, unmarked = 1] = await maskAt(init, [34, 26], [2, 2]);
  expect(marked).toBeGreaterThan(200);
  expect(unmarked).toBe(0);
  expect((await host.jobs())[0]?.job).toMatchObject({ passes: [{ size: { width: 96, height: 48 } }] });
});

test('without a mask nothing is queued, and what to do is said', async () => {
  const host = await openEditor();
  await generate.click();
  await expect.element(page.getByText(/^Mark the area to inpaint with the brush/)).toBeVisible();
  expect(await host.jobs()).toEqual([]);
});

test('the result is compared with the image before, and the mask is still there', async () => {
  await openEditor();
  dab(20, 20);
  await generate.click();
  await page.getByRole('button', { name: 'Compare with the image before' }).click();
  await expect.element(page.getByRole('slider', { name: 'Before and after' })).toBeVisible();
  await page.getByRole('button', { name: 'Back to the mask' }).click();
  await expect.element(editor).toBeVisible();
  await page.getByRole('button', { name: 'Show the last result' }).click();
  await page.getByRole('radio', { name: 'Image', exact: true }).click({ force: true });
  await page.getByRole('radio', { name: 'Edit', exact: true }).click({ force: true });
  await expect.element(page.getByRole('button', { name: 'Undo (Ctrl+Z)' })).toBeEnabled();
  const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});

test('mask and image survive a reload', async () => {
  const host = await openEditor();
  dab(20, 20);
  const kept = indexedDB.open('vitrine-form');
  await new Promise((resolve) => (kept.onsuccess = resolve));
  const maskLength = () =>
    new Promise<number>((resolve) => {
      const request = kept.result.transaction('form').objectStore('form').get('mask');
      request.onsuccess = () => resolve((request.result as unknown[] | undefined)?.length ?? 0);
    });
  await expect.poll(maskLength, PATIENCE).toBe(1);
  kept.result.close();
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  document.body.replaceChildren();
  await render(App, { status });
  await expect.element(editor).toBeVisible();
  await expect.element(prompt).toHaveValue('a lamp');
  expect(await maskAt(await submitted(host), [20, 20])).toEqual([255]);
});
