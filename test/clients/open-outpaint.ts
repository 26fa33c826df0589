import type { Page } from '@playwright/test';
import type { Pixels } from '#codecs/png.ts';
import { evaluate, expectChangedOnly, expectImage, meanDifference, pixelsOf, type Client } from './client.ts';

const SIZE = 256;
/** What its settings would be after a user had set them. */
const SETTINGS = {
  resolution: SIZE,
  'dream-cursorsize': SIZE,
  'img2img-cursorsize': SIZE,
  steps: 4,
  batch_size: 1,
  n_iter: 1,
  seed: 1,
  prompt: 'red apple',
  neg_prompt: '',
  upscaler: 'Lanczos',
};

/** A square of its canvas, by its centre. */
interface Square {
  x: number;
  y: number;
}

/** openOutpaint: an endless canvas; squares of it are generated, continued and inpainted by clicks. */
export const openOutpaint: Client = {
  name: 'openOutpaint',
  knownBy: 'js/ui/tool/dream.js',
  page: 'index.html?noprompt',
  async drive(page, folder, attempt) {
    const settings = Object.entries({ host: new URL(folder).origin, ...SETTINGS });
    await page.addInitScript((entries) => {
      for (const [key, value] of entries) localStorage.setItem(`openoutpaint/${key}`, String(value));
    }, settings);
    await page.reload();
    await attempt('connect, and read models and samplers', async () => {
      await page.waitForFunction('global.connection === "online"');
      await page.waitForFunction('modelAutoComplete.value && samplerAutoComplete.value');
    });
    await page.locator('#prompt').evaluate((area: HTMLTextAreaElement) => (area.value = 'red apple, 3d'));

    const centre = await evaluate<Square>(
      page,
      '({ x: Math.round(viewport.cx / 64) * 64, y: Math.round(viewport.cy / 64) * 64 })',
    );
    const right = { x: centre.x + SIZE / 2, y: centre.y };

    await attempt('text-to-image: a click with Dream on the empty canvas', async () => {
      await dream(page, 'KeyD', centre);
      expectImage(await visible(page, centre), SIZE, SIZE);
    });
    await attempt('outpainting: a click with Dream half beside the image', async () => {
      const before = await visible(page, right);
      await dream(page, 'KeyD', right);
      const after = await visible(page, right);
      expectImage(after, SIZE, SIZE);
      // It blurs its masks over the seam.
      expectChangedOnly(
        before,
        after,
        (x) => x > SIZE / 2,
        (x) => x < SIZE / 2 - 48,
      );
    });
    await attempt('inpainting: the mask brush, then Dream', async () => {
      const before = await visible(page, centre);
      await page.keyboard.press('KeyM');
      await drag(page, { x: centre.x - 32, y: centre.y }, { x: centre.x + 32, y: centre.y });
      await dream(page, 'KeyD', centre);
      const after = await visible(page, centre);
      expectChangedOnly(
        before,
        after,
        (x, y) => Math.abs(x - SIZE / 2) < 40 && Math.abs(y - SIZE / 2) < 20,
        (_, y) => y < 40 || y >= SIZE - 40,
      );
    });
    await attempt('image-to-image: a click with Img2Img', async () => {
      const before = await visible(page, centre);
      await dream(page, 'KeyI', centre);
      const after = await visible(page, centre);
      expectImage(after, SIZE, SIZE);
      if (meanDifference(before, after) < 1) throw new Error('The image is as it was.');
    });
    await attempt('text-to-image with hires fix', async () => {
      const above = { x: centre.x, y: centre.y - 1.5 * SIZE };
      await evaluate(page, 'document.getElementById("cbxHRFix").checked = true, changeHiResFix()');
      await evaluate(page, 'hrFixUpscalerAutoComplete.value = "Latent"');
      await dream(page, 'KeyD', above);
      expectImage(await visible(page, above), SIZE, SIZE);
    });
    await attempt('upscaling of the whole canvas', async () => {
      const download = page.waitForEvent('download');
      await evaluate(page, 'void upscaleAndDownload(true, false)');
      const [, data = ''] = /^data:image\/png;base64,(.*)$/.exec((await download).url()) ?? [];
      if (pixelsOf(data).width < SIZE * 2) throw new Error('The upscaled image is too small.');
    });
  },
};

/** Clicks a square with a tool, waits for the image, and accepts it. */
async function dream(page: Page, tool: string, square: Square): Promise<void> {
  const answered = page.waitForResponse((response) => /\/sdapi\/v1\/(txt2img|img2img)$/.test(response.url()));
  await page.keyboard.press(tool);
  const { x, y } = await onScreen(page, square);
  // It listens to movements to know what a click is on.
  await page.mouse.move(x - 5, y);
  await page.mouse.move(x, y);
  await page.mouse.click(x, y);
  const answer = await answered;
  if (answer.status() !== 200) throw new Error(`${answer.status()}: ${await answer.text()}`);
  await page.getByTitle('Apply Current').click();
  await page.getByTitle('Apply Current').waitFor({ state: 'detached' });
}

async function drag(page: Page, from: Square, to: Square): Promise<void> {
  const [start, end] = [await onScreen(page, from), await onScreen(page, to)];
  await page.mouse.move(start.x, start.y);
  await page.mouse.down();
  await page.mouse.move(end.x, end.y, { steps: 10 });
  await page.mouse.up();
}

function onScreen(page: Page, { x, y }: Square): Promise<Square> {
  return evaluate(page, `(({ x, y }) => ({ x, y }))(viewport.canvasToView(${x}, ${y}))`);
}

async function visible(page: Page, { x, y }: Square): Promise<Pixels> {
  const square = `{ x: ${x - SIZE / 2}, y: ${y - SIZE / 2}, w: ${SIZE}, h: ${SIZE} }`;
  return pixelsOf(await evaluate(page, `uil.getVisible(${square}).toDataURL()`));
}
