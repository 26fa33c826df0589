import { expect, setSteps, test } from './app.ts';

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
  const differing = await page.evaluate(async () => {
    const [edited, source] = await Promise.all(
      [...document.querySelectorAll<HTMLImageElement>('main .rest ul img')].slice(0, 2).map(async (image) => {
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
        const context = canvas.getContext('2d');
        context?.drawImage(await createImageBitmap(image), 0, 0);
        return context?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
      }),
    );
    const rows = new Set<number>();
    edited?.forEach((value, index) => {
      if (value !== source?.[index]) rows.add(Math.floor(index / 4 / 256));
    });
    return [...rows].sort((a, b) => a - b);
  });
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
  await app.evaluate(async () => {
    const image = document.querySelector<HTMLImageElement>('main .rest ul img');
    const dataTransfer = new DataTransfer();
    const blob = await (await fetch(image?.src ?? '')).blob();
    dataTransfer.items.add(new File([blob], 'star.png', { type: 'image/png' }));
    document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
  });
  const sheet = app.getByRole('dialog', { name: 'star.png' });
  await expect(sheet).toContainText('256 × 256 · 3 steps');
  await sheet.getByRole('button', { name: 'Use its settings' }).click();
  await expect(app.getByLabel('Prompt', { exact: true })).toHaveValue('yellow star');
  await expect(app.getByLabel('Seed', { exact: true })).toHaveValue('77');
});
