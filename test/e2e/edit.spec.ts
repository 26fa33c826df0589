import type { Locator } from '@playwright/test';
import { call, expect, setSteps, storedImages, test } from './app.ts';

test('by keyboard alone: an image is generated, a part of it marked and generated again', async ({
  studio: page,
}) => {
  const prompt = page.getByLabel('Prompt', { exact: true });
  const images = page.getByRole('button', { name: /^View large: a (red apple|blue whale), seed/ });
  await setSteps(page, 4);
  await prompt.focus();
  await page.keyboard.type('a red apple');
  await page.keyboard.press('Control+Enter');
  await expect(images).toHaveCount(1, { timeout: 120_000 });

  await page.getByRole('region', { name: 'Stage' }).getByRole('button', { name: 'Edit' }).focus();
  await page.keyboard.press('Enter');
  const editor = page.getByRole('application', { name: 'Mask editor' });
  await editor.focus();
  await page.keyboard.down('Space');
  for (let step = 0; step < 4; step++) await page.keyboard.press('ArrowRight');
  await page.keyboard.up('Space');
  await expect(page.getByRole('button', { name: 'Undo (Ctrl+Z)' })).toBeEnabled();
  await page.keyboard.press('Control+z');
  await page.keyboard.press('Control+Shift+z');

  await prompt.focus();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('a blue whale');
  await page.keyboard.press('Control+Enter');
  await expect(images).toHaveCount(2, { timeout: 120_000 });
  await images.first().click();
  await expect(page.getByRole('dialog').locator('.infotext')).toContainText('Denoising strength: 0.6');
  await page.keyboard.press('Escape');

  // What is not marked is what it was, to the last bit.
  const differing = await page.evaluate(
    async (files) => {
      const [edited, source] = await Promise.all(
        files.map(async (bytes) => {
          const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const canvas = new OffscreenCanvas(image.width, image.height);
          const context = canvas.getContext('2d');
          context?.drawImage(image, 0, 0);
          return context?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
        }),
      );
      const rows = new Set<number>();
      edited?.forEach((value, index) => {
        if (value !== source?.[index]) rows.add(Math.floor(index / 4 / 256));
      });
      return [...rows].sort((a, b) => a - b);
    },
    await storedImages(page, 2),
  );
  expect(differing.length).toBeGreaterThan(10);
  expect(differing.at(0)).toBeGreaterThan(80);
  expect(differing.at(-1)).toBeLessThan(176);
});

test('a generated image that is dropped on the page gives its settings back', async ({ studio: app }) => {
  await app.getByRole('radio', { name: 'Text' }).check();
  await setSteps(app, 3);
  await app.getByLabel('Prompt', { exact: true }).fill('yellow star');
  await app.getByLabel('Seed', { exact: true }).fill('77');
  await app.getByRole('button', { name: /generate/i }).click();
  await expect(app.getByRole('button', { name: /^View large: yellow star, seed 77/ })).toBeVisible({
    timeout: 120_000,
  });
  await app.getByLabel('Prompt', { exact: true }).fill('something else');
  await app.getByLabel('Seed', { exact: true }).fill('');
  await app.evaluate(
    ([bytes = []]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(bytes)], 'star.png', { type: 'image/png' }));
      document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
    },
    await storedImages(app, 1),
  );
  const sheet = app.getByRole('dialog', { name: 'star.png' });
  await expect(sheet).toContainText('256 × 256 · 3 steps');
  await sheet.getByRole('button', { name: 'Use its settings' }).click();
  await expect(app.getByLabel('Prompt', { exact: true })).toHaveValue('yellow star');
  await expect(app.getByLabel('Seed', { exact: true })).toHaveValue('77');
});

test('a number is put right beside its field, a double click asks once, Stop is heard at once, and a reload loses nothing', async ({
  studio: app,
}) => {
  const [prompt, stage] = [
    app.getByLabel('Prompt', { exact: true }),
    app.getByRole('region', { name: 'Stage' }),
  ];
  // The model is there.
  await call(app, '/sdapi/v1/txt2img', { prompt: 'fog', steps: 1, width: 64, height: 64 });
  await app.goto(app.url().replace(/#.*/, '#/create'));
  await app.getByRole('radio', { name: 'Text' }).check();
  await prompt.fill('a lighthouse in the fog');
  await setSteps(app, 500);
  const steps = app.getByRole('spinbutton', { name: 'Steps' });
  await expect(app.getByRole('alert').filter({ hasText: 'Enter a number from 1 to 150.' })).toBeVisible();
  await prompt.focus();
  await app.keyboard.press('Control+Enter');
  await expect(steps).toBeFocused();
  await expect(stage.getByRole('button', { name: 'Stop' })).toHaveCount(0);

  await steps.fill('150');
  await app.getByRole('button', { name: /generate/i }).dblclick();
  const stop = stage.getByRole('button', { name: 'Stop' });
  await expect(stop).toBeVisible();
  await expect(app.getByRole('region', { name: /^Next/ })).toHaveCount(0);
  await stop.click();
  await expect(stage.getByRole('button', { name: /^Stop/ })).toHaveCount(0, { timeout: 60_000 });

  await app.reload();
  await expect(prompt).toHaveValue('a lighthouse in the fog');
  await expect(app.getByText('150 steps')).toBeVisible();
  await setSteps(app, 20);
});

test('by keyboard alone: a file is imported, and an image is deleted and comes back', async ({
  studio: page,
}) => {
  const reach = async (target: Locator) => {
    const isReached = () => target.evaluate((element) => element === document.activeElement);
    for (let presses = 0; presses < 80 && !(await isReached()); presses++) await page.keyboard.press('Tab');
    await expect(target).toBeFocused();
  };
  const open = async (panel: string) => {
    await reach(page.getByRole('link', { name: panel, exact: true }));
    await page.keyboard.press('Enter');
    await expect(page).toHaveTitle(`${panel} · Vitrine`);
  };

  await call(page, 'sdapi/v1/txt2img', { prompt: 'green frog', steps: 1, width: 256, height: 256 });
  await open('Models');
  // Asked for ahead: the browser hears of it on another way than of the key.
  const choosing = page.waitForEvent('filechooser');
  await reach(page.getByRole('button', { name: 'Choose files' }));
  await page.keyboard.press('Enter');
  await (await choosing).setFiles('test/fixtures/models/lora-kohya.safetensors');
  const sheet = page.getByRole('dialog', { name: 'lora-kohya' });
  await reach(sheet.getByRole('button', { name: 'Import' }));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('article', { name: 'lora-kohya' })).toContainText('LoRA');

  await open('Gallery');
  const images = page.getByRole('button', { name: /^View large: / });
  await expect(images.first()).toBeVisible();
  const count = await images.count();
  const title = (await images.first().getAttribute('aria-label')) ?? '';
  await reach(images.first());
  await page.keyboard.press('Delete');
  await expect(images).toHaveCount(count - 1);
  await reach(page.getByRole('button', { name: 'Undo' }));
  await page.keyboard.press('Enter');
  await expect(images).toHaveCount(count);
  await expect(images.first()).toHaveAccessibleName(title);
});

test('by touch: results are swiped through, and two fingers zoom and move the editor', async ({
  studio: page,
}) => {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  const session = await page.context().newCDPSession(page);
  type Finger = readonly [x: number, y: number];
  const touch = async (type: 'touchStart' | 'touchMove' | 'touchEnd', ...fingers: readonly Finger[]) => {
    const touchPoints = fingers.map(([x, y], id) => ({ x, y, id }));
    await session.send('Input.dispatchTouchEvent', { type, touchPoints });
  };
  await page.goto(page.url().replace(/#.*/, '#/create'));
  for (const prompt of ['blue whale', 'green frog'])
    await call(page, 'sdapi/v1/txt2img', { prompt, steps: 1, width: 256, height: 256 });
  const stage = page.getByRole('region', { name: 'Stage' });
  const shown = stage.getByRole('button', { name: /^View large/ });
  await expect(shown).toHaveAccessibleName('View large: green frog');
  await page.evaluate(() => scrollTo(0, 0));
  const box = await shown.boundingBox();
  if (!box) throw new Error('There is no image on the stage.');
  const y = box.y + box.height / 2;
  await touch('touchStart', [300, y]);
  for (const x of [260, 220, 180, 140]) await touch('touchMove', [x, y]);
  await touch('touchEnd');
  await expect(shown).toHaveAccessibleName('View large: blue whale');

  await stage.getByRole('button', { name: 'Edit' }).click();
  const image = page.getByRole('application', { name: 'Mask editor' }).locator('img').first();
  const [begin, middle] = [await image.boundingBox(), 195];
  if (!begin) throw new Error('There is no image in the editor.');
  const level = begin.y + begin.height / 2;
  await touch('touchStart', [middle - 40, level], [middle + 40, level]);
  for (const reach of [50, 60, 80])
    await touch('touchMove', [middle - reach, level], [middle + reach, level]);
  await touch('touchMove', [middle - 80, level + 50], [middle + 80, level + 50]);
  await touch('touchEnd');
  const end = await image.boundingBox();
  expect((end?.width ?? 0) / begin.width).toBeCloseTo(2, 1);
  expect((end?.y ?? 0) + (end?.height ?? 0) / 2).toBeCloseTo(level + 50, -1);
  // Fingers that zoom mark nothing.
  await expect(page.getByRole('button', { name: 'Undo (Ctrl+Z)' })).toBeDisabled();
  await page.setViewportSize(before ?? { width: 1280, height: 720 });
});

test('an X/Y/Z plot goes on after a reload, and its grid has the images of before and after', async ({
  studio: page,
}) => {
  await page.goto(page.url().replace(/#.*/, '#/create'));
  await page.getByRole('radio', { name: 'Text' }).check();
  await page.getByLabel('Prompt', { exact: true }).fill('red heart');
  await page.getByRole('button', { name: 'Run options' }).click();
  await page.getByRole('button', { name: 'X/Y/Z plot…' }).click();
  const dialog = page.getByRole('dialog', { name: 'X/Y/Z plot' });
  await dialog.getByRole('combobox', { name: 'X axis' }).selectOption('Steps');
  await dialog.getByRole('textbox', { name: 'X values' }).fill('2, 40, 3');
  await dialog.getByRole('button', { name: 'Generate the plot' }).click();
  const running = page.getByRole('group', { name: 'X/Y/Z plot' });
  await expect(running).toContainText('1 of 3 images', { timeout: 60_000 });

  await page.reload();
  await expect(running).toContainText('of 3 images');
  await expect(running).toHaveCount(0, { timeout: 120_000 });
  const images = page.getByRole('button', { name: /^View large: red heart, seed/ });
  await expect(images).toHaveCount(4);
  await images.first().click();
  const infotext = page.getByRole('dialog').locator('.infotext');
  await expect(infotext).toContainText('Script: X/Y/Z plot, X Type: Steps, X Values: "2, 40, 3"');
  await page.keyboard.press('Escape');
});
