import { readFileSync } from 'node:fs';
import { tinyUpscalerFile } from '../support/tiny-upscaler.ts';
import { decodePng } from '#codecs/png.ts';
import { call, expect, setSteps, test } from './app.ts';

test('an upscaler is dropped into the app and upscales an image four times, there and over the API', async ({
  studio: page,
}) => {
  const file = Buffer.from(await (await tinyUpscalerFile()).arrayBuffer());
  await page.goto(new URL('#/create', page.url()).href);
  await page.evaluate((base64) => {
    const dataTransfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], '4x-tiny.safetensors'));
    document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
  }, file.toString('base64'));
  const sheet = page.getByRole('dialog', { name: '4x-tiny' });
  await expect(sheet).toContainText('Upscaler, float32');
  await sheet.getByRole('button', { name: 'Import' }).click();
  await expect(page.getByRole('article', { name: '4x-tiny' })).toContainText('Choose Upscale');

  await page.getByRole('link', { name: 'Create', exact: true }).click();
  await page.getByRole('radio', { name: 'Text' }).check();
  await page.getByLabel('Prompt', { exact: true }).fill('orange star');
  await setSteps(page, 1);
  await page.getByRole('button', { name: /generate/i }).click();
  const images = page.getByRole('button', { name: /^View large: orange star, seed/ });
  await expect(images).toHaveCount(1, { timeout: 120_000 });
  await images.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Upscale' }).click();
  await page.getByText('4 ×').click();
  await page.getByRole('form', { name: 'What to create' }).getByRole('button', { name: 'Upscale' }).click();
  await expect(images).toHaveCount(2, { timeout: 120_000 });
  await expect(page.getByText('Upscaled · 1024 × 1024')).toBeVisible();
  await images.first().click();
  await expect(page.getByRole('dialog').locator('.infotext')).toContainText('Postprocess upscaler: 4x-tiny');
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download' }).click();
  const upscaled = decodePng(readFileSync(await (await download).path()));
  expect([upscaled.width, upscaled.height]).toEqual([1024, 1024]);

  const image = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [32, 24];
    return canvas.toDataURL('image/jpeg');
  });
  const answer = await call<{ image: string; html_info: string }>(page, '/sdapi/v1/extra-single-image', {
    image,
    upscaler_1: '4x-tiny',
    upscaling_resize: 4,
  });
  expect(answer.body.html_info).toBe('<p>Postprocess upscale by: 4, Postprocess upscaler: 4x-tiny</p>');
  const { width, height } = decodePng(Buffer.from(answer.body.image, 'base64'));
  expect([width, height]).toEqual([128, 96]);
});
