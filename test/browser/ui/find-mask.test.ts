import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import '../../../src/app.css';
import { decodePng } from '#codecs/png.ts';
import { visionNetworks } from '#library/packs/vision.ts';
import { demoAddOn } from '../../support/demo-host.ts';
import { editor, markedAt, openEditor, PATIENCE } from '../../support/mask-editor.ts';

/* The demo's engine finds people at the left of an image, faces at the right, and at a point what is around it. */

const tools = page.getByRole('toolbar', { name: 'Mask tools' });

const segmenter = { ...demoAddOn('finder', 'slimsam'), family: null, network: 'sam' };

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('people and faces are added to the mask, taken back by undo, and generated again', async () => {
  const host = await openEditor(undefined, visionNetworks);
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
  await openEditor(undefined, [...visionNetworks, segmenter]);
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

test('what words name is selected where a model for that is installed', async () => {
  const detector = { ...demoAddOn('finder', 'owlvit-base'), family: null, network: 'owlvit' };
  await openEditor(undefined, [...visionNetworks, detector]);
  await tools.getByRole('textbox', { name: 'Select by words' }).fill('a red hat');
  await tools.getByRole('button', { name: 'Select what the words name' }).click();
  await expect.poll(() => markedAt([10, 10], [50, 10]), PATIENCE).toEqual([false, true]);
  const { violations } = await axe.run(tools.element());
  expect(violations).toEqual([]);
});

test('without such models there are no tools for them', async () => {
  await openEditor(undefined, visionNetworks);
  await expect.element(tools.getByRole('button', { name: 'Select faces' })).toBeVisible();
  expect(tools.getByRole('radio', { name: /click/ }).elements()).toEqual([]);
  expect(tools.getByRole('textbox').elements()).toEqual([]);
});
