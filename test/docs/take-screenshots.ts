/**
 * `npm run screenshots`: the README's image of the app, taken of the build in `dist/` after some images have
 * been generated in it.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from '@playwright/test';
import { build } from 'vite';
import { call, openApp } from '../e2e/app.ts';
import { LAUNCH_ARGUMENTS, findChromium } from '../support/chromium.ts';
import { serveFolder } from '../support/server.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Generated in this order; the app shows the last one large. */
const IMAGES = [
  { prompt: 'cactus, flat design', seed: 5 },
  { prompt: 'mushroom, 3d render', seed: 1 },
  { prompt: 'frog, flat design', seed: 4 },
  { prompt: 'sunflower, 3d render', seed: 5 },
  { prompt: 'panda, 3d render', seed: 2 },
  { prompt: 'red apple, 3d render', seed: 2 },
];

await build({ logLevel: 'error' });
const server = await serveFolder(path.join(ROOT, 'dist'));
const browser = await chromium.launch({ executablePath: findChromium(), args: [...LAUNCH_ARGUMENTS] });
const page = await browser.newPage({ colorScheme: 'dark', viewport: { width: 1280, height: 880 } });
await openApp(page, server.origin);
for (const image of IMAGES) {
  const request = { ...image, steps: 10, cfg_scale: 4, width: 256, height: 256, sampler_name: 'DPM++ 2M' };
  await call(page, 'sdapi/v1/txt2img', request);
}
const prompt = page.getByLabel('Prompt', { exact: true });
await prompt.fill(IMAGES.at(-1)?.prompt ?? '');
await prompt.blur();
// The prompt's tokens are counted.
await page.getByText(/^[1-9]\d*\/75$/).waitFor();
await page.getByRole('button', { name: 'View large: red apple' }).first().waitFor();
const png = await page.screenshot();
const webp = await page.evaluate(
  async (bytes) => {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.9 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  },
  [...png],
);
writeFileSync(path.join(ROOT, 'public/screenshots/create-dark.webp'), Uint8Array.from(webp));
await browser.close();
await server.close();
