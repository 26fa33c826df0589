import type { Page } from '@playwright/test';
import { evaluate, expectImage, meanDifference, pixelsOf, type Client } from './client.ts';

/** Its smallest size. */
const SIZE = 512;

/** KoboldAI Lite: a page for stories, which asks an A1111 server for illustrations. */
export const koboldLite: Client = {
  name: 'KoboldAI Lite',
  knownBy: 'koboldcpp_api.html',
  page: 'index.html',
  async drive(page, folder, attempt) {
    await attempt('connect, and read models and options', async () => {
      await evaluate(
        page,
        `Object.assign(localsettings, {
          saved_a1111_url: ${JSON.stringify(new URL(folder).origin)}, generate_images_mode: 2, img_steps: 2, img_allowhd: true,
        }), connect_to_a1111()`,
      );
      await page.waitForFunction(
        'a1111_is_connected && document.getElementById("generate_images_local_model").value',
      );
    });
    let source = '';
    await attempt('text-to-image', async () => {
      source = await generate(page, 'red apple, 3d');
      expectImage(pixelsOf(source), SIZE, SIZE);
    });
    await attempt('image-to-image from the image', async () => {
      const image = pixelsOf(await generate(page, 'green frog, 3d', source));
      expectImage(image, SIZE, SIZE);
      if (meanDifference(pixelsOf(source), image) < 1) throw new Error('The image is as it was.');
    });
  },
};

/** Has it generate an image, as its buttons do, and waits until the image is in the story: a PNG as a data URL. */
async function generate(page: Page, prompt: string, source = ''): Promise<string> {
  await evaluate(page, `do_manual_gen_image(${JSON.stringify(prompt)}, ${JSON.stringify(source)})`);
  const made = `Object.values(completed_imgs_meta).find(({ prompt }) => prompt === ${JSON.stringify(prompt)})`;
  await page.waitForFunction(`${made} || Object.values(image_db).some(({ queue }) => queue === 'Failed')`);
  const image = await evaluate<{ data: string } | undefined>(page, made);
  if (!image) throw new Error('It says that the image could not be generated.');
  return asPng(page, image.data);
}

/** It keeps images as JPEG. */
function asPng(page: Page, url: string): Promise<string> {
  return page.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext('2d')?.drawImage(image, 0, 0);
    return canvas.toDataURL();
  }, url);
}
