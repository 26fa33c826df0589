import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import '../../../src/app.css';
import { decodePng } from '#codecs/png.ts';
import type { MaskedInit } from '#protocol/job.ts';
import { drop, imageFile, type PixelAt } from '../../support/brought.ts';
import { editor, markedAt, openEditor, PATIENCE, submitted } from '../../support/mask-editor.ts';

const WHITE: PixelAt = () => [255, 255, 255, 255];
const RED: PixelAt = () => [255, 0, 0, 255];

const tools = page.getByRole('toolbar', { name: 'Mask tools' });
const layers = page.getByRole('img', { name: /^Layer: / });
const undo = tools.getByRole('button', { name: 'Undo (Ctrl+Z)' });

/** Goes with a pointer from one pixel of the image to others. */
function point(init: PointerEventInit, ...points: readonly (readonly [number, number])[]): void {
  const view = editor.element();
  const { left, top, width } = view.querySelector('img')?.getBoundingClientRect() ?? new DOMRect();
  // A made-up pointer cannot be captured.
  view.setPointerCapture = () => undefined;
  const send = (type: string, at: readonly [number, number] | undefined) => {
    const [x = 0, y = 0] = at ?? [];
    const place = { clientX: left + (x * width) / 64, clientY: top + (y * width) / 64 };
    view.dispatchEvent(
      new PointerEvent(type, { bubbles: true, pointerId: 1, pointerType: 'mouse', ...place, ...init }),
    );
  };
  send('pointerdown', points[0]);
  for (const each of points.slice(1)) send('pointermove', each);
  send('pointerup', points.at(-1));
}

/** Brings files to the editor itself. */
function bring(kind: 'drop' | 'paste', ...files: File[]): void {
  const data = new DataTransfer();
  for (const file of files) data.items.add(file);
  const init = { bubbles: true, cancelable: true };
  editor
    .element()
    .dispatchEvent(
      kind === 'drop'
        ? new DragEvent('drop', { ...init, dataTransfer: data })
        : new ClipboardEvent('paste', { ...init, clipboardData: data }),
    );
}

/** The red, green and blue of the init image at pixels. */
async function colorsAt(
  { images }: MaskedInit,
  ...points: readonly (readonly [number, number])[]
): Promise<number[][]> {
  const file = new Uint8Array((await images[0]?.arrayBuffer()) ?? new ArrayBuffer(0));
  const { width, channels, data } = decodePng(file);
  return points.map(([x, y]) => [...data.slice((y * width + x) * channels, (y * width + x) * channels + 3)]);
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('a click on a color marks it wherever it is, as far as the tolerance goes', async () => {
  await openEditor((x) => (x < 16 ? [250, 0, 0, 255] : x < 40 ? [0, 200, 0, 255] : [0, 150, 0, 255]));
  await tools.getByRole('radio', { name: 'Mark a color (C)' }).click({ force: true });
  await tools.getByRole('slider', { name: 'Tolerance' }).fill('10');
  point({}, [20, 20]);
  await expect.poll(() => markedAt([30, 5], [5, 5], [50, 5]), PATIENCE).toEqual([true, false, false]);
  // The same click, with more of what is like it.
  await tools.getByRole('slider', { name: 'Tolerance' }).fill('60');
  await expect.poll(() => markedAt([30, 5], [5, 5], [50, 5]), PATIENCE).toEqual([true, false, true]);
  await undo.click();
  await expect.poll(() => markedAt([30, 5]), PATIENCE).toEqual([false]);
  await expect.element(undo).toBeDisabled();
});

test('a dropped image is a layer: moved, scaled, marked, and merged into the init image', async () => {
  const host = await openEditor(WHITE);
  bring('drop', imageFile('ball.png', [16, 16], RED));
  await expect.element(layers).toBeVisible();
  // It lies in the middle, from 24 to 40 and from 16 to 32; its corner is dragged, then itself.
  point({}, [40, 32], [48, 40]);
  point({}, [30, 20], [6, 4]);
  await tools.getByRole('button', { name: 'Mark the layer' }).click();
  await expect.poll(() => markedAt([10, 10], [40, 40]), PATIENCE).toEqual([true, false]);
  const { violations } = await axe.run(tools.element());
  expect(violations).toEqual([]);
  const init = await submitted(host);
  expect(await colorsAt(init, [2, 2], [22, 22], [30, 10], [30, 30])).toEqual([
    [255, 0, 0],
    [255, 0, 0],
    [255, 255, 255],
    [255, 255, 255],
  ]);
});

test('undo takes back layers as it does the mask; without layers the file is the one that was brought', async () => {
  const host = await openEditor(WHITE);
  bring('paste', imageFile('ball.png', [16, 16], RED));
  await expect.element(layers).toBeVisible();
  await tools.getByRole('button', { name: 'Remove the layer' }).click();
  expect(layers.elements()).toEqual([]);
  await undo.click();
  await expect.element(layers).toBeVisible();
  await undo.click();
  expect(layers.elements()).toEqual([]);
  await tools.getByRole('radio', { name: 'Brush (B)' }).click({ force: true });
  point({}, [20, 20]);
  const [first] = (await submitted(host)).images;
  const brought = imageFile('street.png', [64, 48], WHITE);
  expect(new Uint8Array((await first?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(
    new Uint8Array(await brought.arrayBuffer()),
  );
});

test('by keys alone a layer is moved, scaled and removed', async () => {
  await openEditor(WHITE);
  bring('paste', imageFile('ball.png', [16, 16], RED));
  await expect.element(layers).toBeVisible();
  const place = () => {
    const image = editor.element().querySelector('img')?.getBoundingClientRect() ?? new DOMRect();
    const { left, top, width } = layers.element().getBoundingClientRect();
    const scale = image.width / 64;
    return [left - image.left, top - image.top, width].map((side) => Math.round(side / scale));
  };
  expect(place()).toEqual([24, 16, 16]);
  editor.element().focus();
  await userEvent.keyboard('{ArrowRight}{ArrowRight}{ArrowUp}');
  await expect.poll(place).toEqual([32, 12, 16]);
  await userEvent.keyboard('[[');
  await expect.poll(() => place()[2]).toBe(13);
  await userEvent.keyboard('{Delete}');
  expect(layers.elements()).toEqual([]);
});

test('an image dropped elsewhere in the window is offered as a layer', async () => {
  await openEditor(WHITE);
  drop(imageFile('ball.png', [16, 16], RED));
  await page
    .getByRole('dialog', { name: 'ball.png' })
    .getByRole('button', { name: 'Add as a layer' })
    .click();
  await expect.element(layers).toBeVisible();
});

test('a pen that presses lightly marks less than one that presses hard', async () => {
  await openEditor(WHITE);
  await tools.getByRole('slider', { name: 'Size' }).fill('20');
  await tools.getByRole('slider', { name: 'Feather' }).fill('0');
  point({ pointerType: 'pen', pressure: 1 }, [15, 20]);
  point({ pointerType: 'pen', pressure: 0.3 }, [45, 20]);
  expect(markedAt([8, 20], [45, 20], [38, 20])).toEqual([true, true, false]);
});

test('a result is accepted as the image to edit, which can be undone, or generated again with the next seed', async () => {
  const host = await openEditor(WHITE);
  await page.getByRole('textbox', { name: 'Seed' }).fill('5');
  point({}, [20, 20]);
  await submitted(host);
  await page.getByRole('button', { name: 'Again', exact: true }).click(PATIENCE);
  await expect.poll(async () => (await host.jobs()).length, PATIENCE).toBe(2);
  const seeds = (await host.jobs()).map(({ job }) => job.task === 'generate' && job.images[0]?.seed);
  expect(seeds).toEqual([5n, 6n]);
  await page.getByRole('button', { name: 'Accept', exact: true }).click(PATIENCE);
  await expect.element(page.getByRole('img', { name: 'Being edited: a lamp' })).toBeVisible();
  await expect.element(undo).toBeDisabled();
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await expect.element(page.getByRole('img', { name: 'Being edited: street.png' })).toBeVisible();
  await expect.element(undo).toBeEnabled();
});
