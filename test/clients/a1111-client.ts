import type { Page } from '@playwright/test';
import { evaluate, expectChangedOnly, expectImage, meanDifference, pixelsOf, type Client } from './client.ts';

const SIZE = 256;
const REQUEST = {
  prompt: 'red apple, 3d',
  sampler_name: 'Euler a',
  steps: 3,
  cfg_scale: 4,
  seed: 1,
  width: SIZE,
  height: SIZE,
};

/** sd-webui-a1111-client: a library of functions generated from A1111's own OpenAPI document. */
export const a1111Client: Client = {
  name: 'sd-webui-a1111-client',
  knownBy: 'dist/main.module.mjs',
  page: null,
  async drive(page, folder, attempt) {
    await evaluate(
      page,
      `import(${JSON.stringify(`${folder}dist/main.module.mjs`)}).then((library) => {
        globalThis.library = library;
        globalThis.api = new library.A1111StableDiffusionApi({ client: { BASE: ${JSON.stringify(new URL(folder).origin)} } });
      })`,
    );
    await attempt('ping, models, samplers and embeddings', async () => {
      const { ping, models, samplers } = await evaluate<{
        ping: { success: boolean };
        models: { title: string }[];
        samplers: { name: string }[];
      }>(
        page,
        `(async () => ({
          ping: await api.Service.ping(), models: await api.Service.getSDModels(),
          samplers: await api.Service.getSamplers(), embeddings: await api.Service.getEmbeddings(),
        }))()`,
      );
      if (!ping.success) throw new Error('The ping was not answered.');
      if (models.length === 0 || samplers.length === 0) throw new Error('Models or samplers are missing.');
    });
    let source = '';
    await attempt('text-to-image', async () => {
      source = await ask(page, 'txt2img', REQUEST);
      expectImage(pixelsOf(source), SIZE, SIZE);
    });
    await attempt('text-to-image with hires fix', async () => {
      const image = await ask(page, 'txt2img', {
        ...REQUEST,
        enable_hr: true,
        hr_scale: 1.5,
        hr_upscaler: 'Latent',
        denoising_strength: 0.6,
      });
      expectImage(pixelsOf(image), SIZE * 1.5, SIZE * 1.5);
    });
    await attempt('image-to-image', async () => {
      const image = pixelsOf(
        await ask(page, 'img2img', {
          ...REQUEST,
          init_images: [source],
          prompt: 'green frog, 3d',
          denoising_strength: 0.7,
        }),
      );
      expectImage(image, SIZE, SIZE);
      if (meanDifference(pixelsOf(source), image) < 1) throw new Error('The image is as it was.');
    });
    const mask = await evaluate<string>(page, MASK);
    for (const fullResolution of [false, true]) {
      await attempt(
        `inpainting, ${fullResolution ? 'the masked area only' : 'the whole image'}`,
        async () => {
          const image = await ask(page, 'img2img', {
            ...REQUEST,
            init_images: [source],
            mask,
            mask_blur: 4,
            inpainting_fill: 1,
            inpaint_full_res: fullResolution,
            inpaint_full_res_padding: 32,
            denoising_strength: 0.9,
            prompt: 'green frog, 3d',
          });
          expectChangedOnly(
            pixelsOf(source),
            pixelsOf(image),
            (x, y) => Math.max(Math.abs(x - SIZE / 2), Math.abs(y - SIZE / 2)) < 48,
            (x, y) => Math.max(Math.abs(x - SIZE / 2), Math.abs(y - SIZE / 2)) > 90,
          );
        },
      );
    }
    await attempt('outpainting with the script "Poor man\'s outpainting"', async () => {
      const image = await ask(page, 'img2img', {
        ...REQUEST,
        init_images: [source],
        denoising_strength: 0.9,
        script_name: "Poor man's outpainting",
        script_args: [64, 4, 'fill', ['right']],
      });
      const { width, height } = pixelsOf(image);
      if (width <= SIZE || height !== SIZE) throw new Error(`The image is ${width}×${height}.`);
    });
    await attempt('progress while it works', async () => {
      const seen = await evaluate<number>(
        page,
        `(async () => {
          let highest = 0;
          const watcher = api.Service.watchProgress({ intervalMs: 50, getCurrentImage: true });
          watcher.on('progress', ({ progress }) => (highest = Math.max(highest, progress)));
          await api.Service.txt2img(${JSON.stringify({ ...REQUEST, steps: 8 })});
          watcher.stop();
          return highest;
        })()`,
      );
      if (!(seen > 0 && seen <= 1)) throw new Error(`The highest progress was ${seen}.`);
    });
    await attempt('upscaling', async () => {
      const { image } = await evaluate<{ image: string }>(
        page,
        `api.client.default.extrasSingleImageApiSdapiV1ExtraSingleImagePost({ requestBody: ${JSON.stringify({
          image: source,
          upscaler_1: 'Lanczos',
          upscaling_resize: 2,
        })} })`,
      );
      expectImage(pixelsOf(image), SIZE * 2, SIZE * 2);
    });
    await attempt('the text in an image', async () => {
      const { info } = await evaluate<{ info: string }>(
        page,
        `api.client.default.pnginfoapiSdapiV1PngInfoPost({ requestBody: { image: ${JSON.stringify(source)} } })`,
      );
      if (!info.startsWith(REQUEST.prompt)) throw new Error(`The text is "${info}".`);
    });
  },
};

/** A white square in the middle of black, as a data URL. */
const MASK = `(() => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = ${SIZE};
  const context = canvas.getContext('2d');
  context.fillRect(0, 0, ${SIZE}, ${SIZE});
  context.fillStyle = 'white';
  context.fillRect(${SIZE / 2 - 64}, ${SIZE / 2 - 64}, 128, 128);
  return canvas.toDataURL();
})()`;

async function ask(page: Page, route: 'txt2img' | 'img2img', body: object): Promise<string> {
  const { image } = await evaluate<{ image: string }>(page, `api.Service.${route}(${JSON.stringify(body)})`);
  return image;
}
