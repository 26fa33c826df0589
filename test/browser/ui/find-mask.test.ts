import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { decodePng } from '#codecs/png.ts';
import { visionNetworks } from '#library/packs/vision.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { drop, imageFile } from '../../support/brought.ts';
import { connectDemoHost, demoAddOn, demoModel, openDemoHost } from '../../support/demo-host.ts';

/* The demo's engine finds people at the left of an image, faces at the right, and at a point what is around it. */

const PATIENCE = { timeout: 20_000 };

const editor = page.getByRole('application', { name: 'Mask editor' });
const tools = page.getByRole('toolbar', { name: 'Mask tools' });

/** The app with an image of 64 × 48 pixels in the editor. @param hasSegmenter whether clicks can select */
async function openEditor(hasSegmenter = false): Promise<EngineHost> {
  const segmenter = { ...demoAddOn('finder', 'slimsam'), family: null, network: 'sam' };
  const packs = [demoModel, ...visionNetworks, ...(hasSegmenter ? [segmenter] : [])];
  const host = await openDemoHost({ stepMs: 2, packs });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  drop(imageFile('street.png', [64, 48]));
  await page.getByRole('dialog').getByRole('button', { name: 'Edit' }).click();
  await expect.element(editor).toBeVisible();
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a lamp');
  return host;
}

/** The tinted mask over the image, at pixels: whether they are marked. */
function markedAt(...points: readonly (readonly [number, number])[]): boolean[] {
  const canvas = editor.element().querySelector('canvas');
  return points.map(([x, y]) => (canvas?.getContext('2d')?.getImageData(x, y, 1, 1).data[3] ?? 0) > 0);
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('people and faces are added to the mask, taken back by undo, and generated again', async () => {
  const host = await openEditor();
  await tools.getByRole('button', { name: 'Select people' }).click();
  await expect.poll(() => markedAt([10, 10], [50, 10]), PATIENCE).toEqual([true, false]);
  await tools.getByRole('button', { name: 'Select faces' }).click();
  await expect.poll(() => markedAt([10, 10], [50, 10]), PATIENCE).toEqual([true, true]);
  await tools.getByRole('button', { name: 'Undo (Ctrl+Z)' }).click();
  await expect.poll(() => markedAt([10, 10], [50, 10]), PATIENCE).toEqual([true, false]);
  // Nothing is kept of what looked for them.
  expect(await host.jobs()).toEqual([]);

  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect.poll(async () => (await host.jobs()).length, PATIENCE).toBe(1);
  const job = (await host.jobs())[0]?.job;
  if (job?.task !== 'generate' || job.init.from !== 'masked' || job.init.mask.kind !== 'image')
    throw new Error('A masked job was expected.');
  const { width, channels, data } = decodePng(new Uint8Array(await job.init.mask.mask.arrayBuffer()));
  expect([10, 50].map((x) => data[(10 * width + x) * channels])).toEqual([255, 0]);
});

test('what is clicked is selected where a model for that is installed', async () => {
  await openEditor(true);
  await tools.getByRole('radio', { name: 'Select what you click (S)' }).click({ force: true });
  const image = editor.element().querySelector('img')?.getBoundingClientRect() ?? new DOMRect();
  const scale = image.width / 64;
  editor.element().setPointerCapture = () => undefined;
  for (const type of ['pointerdown', 'pointerup']) {
    const at = { clientX: image.left + 30 * scale, clientY: image.top + 20 * scale };
    editor
      .element()
      .dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, pointerType: 'mouse', ...at }));
  }
  await expect.poll(() => markedAt([30, 20], [26, 17], [40, 20]), PATIENCE).toEqual([true, true, false]);
  const { violations } = await axe.run(tools.element());
  expect(violations).toEqual([]);
});

test('without such a model there is no tool for it', async () => {
  await openEditor();
  await expect.element(tools.getByRole('button', { name: 'Select faces' })).toBeVisible();
  expect(tools.getByRole('radio', { name: /click/ }).elements()).toEqual([]);
});
