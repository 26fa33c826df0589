import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { blobToBase64 } from '#codecs/base64.ts';
import type { Pixels } from '#codecs/png.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { openA1111 } from '../../../../support/a1111-engine.ts';
import { pngOf } from '../../../../support/images.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../../support/random-weights.ts';
import { addOnPack, fileOf } from '../../../../support/tiny-packs.ts';

/* Scripts by the images that the real engine makes on a tiny checkpoint. */

let send: Awaited<ReturnType<typeof openA1111>>;

/** The reference's VAE with another last layer. */
async function otherVae() {
  const folder = new URL('../../../../fixtures/models/autoencoder-kl/', import.meta.url);
  const own = new Blob([readFileSync(new URL('diffusion_pytorch_model.safetensors', folder))]);
  const last = tensorsOf(randomTensors({ 'decoder.conv_out.weight': [3, 8, 3, 3] }));
  const file = await fileOf(joinSources(last, await openSafetensors(own, 'vae')));
  const { pack, files } = await addOnPack('vae', 'vivid', file, { family: 'sd1' });
  const config = new Blob([readFileSync(new URL('config.json', folder))]);
  return { pack, files: { ...files, 'config.json': config } };
}

beforeAll(async () => {
  send = await openA1111([await otherVae()]);
}, 60_000);

const start = await blobToBase64(pngOf(64, 64, (x, y) => [x * 4, y * 4, 128]));

function region({ width, channels, data }: Pixels, x: number, y: number, side = 64): number[] {
  return Array.from({ length: side }, (_, row) => {
    const at = ((y + row) * width + x) * channels;
    return [...data.slice(at, at + side * channels)];
  }).flat();
}

function sizes(images: readonly Pixels[]): string[] {
  return images.map(({ width, height }) => `${width}x${height}`);
}

describe('txt2img', () => {
  it('a plot is made of the images that its requests make alone', async () => {
    const plot = ['Steps', '1, 2', [], 'CFG Scale', '1, 8', [], 0, '', [], false];
    const { status, pixels, infotexts } = await send('txt2img', {
      script_name: 'X/Y/Z plot',
      script_args: plot,
    });
    expect(status).toBe(200);
    const [grid] = pixels;
    expect(sizes(pixels)).toEqual(['128x128']);
    const alone = await send('txt2img', { steps: 2, cfg_scale: 8 });
    expect(grid && region(grid, 64, 64)).toEqual(alone.pixels[0] && region(alone.pixels[0], 0, 0));
    expect(grid && region(grid, 0, 0)).not.toEqual(grid && region(grid, 64, 0));
    expect(infotexts[0]).toMatch(/Script: X\/Y\/Z plot, X Type: Steps, .*Y Type: CFG Scale.*, Version: /);
  });

  it.each([
    ['Checkpoint name', 'tiny, other', {}, { override_settings: { sd_model_checkpoint: 'other' } }],
    ['VAE', 'Automatic, vivid', {}, { override_settings: { sd_vae: 'vivid' } }],
    [
      'Refiner checkpoint',
      'None, other',
      { refiner_switch_at: 0.5 },
      { refiner_switch_at: 0.5, refiner_checkpoint: 'other' },
    ],
    [
      'Refiner switch at',
      '1, 0.5',
      { refiner_checkpoint: 'other' },
      { refiner_switch_at: 0.5, refiner_checkpoint: 'other' },
    ],
  ])('a plot of %s has what other models make', async (axis, values, request, second) => {
    const plot = await send('txt2img', {
      ...request,
      script_name: 'X/Y/Z plot',
      script_args: [axis, values, [], 'Nothing', '', [], 0, '', [], false],
    });
    expect(plot.status).toBe(200);
    const [grid] = plot.pixels;
    const alone = [await send('txt2img', {}), await send('txt2img', second)];
    const [plain, other] = alone.map(({ pixels: [image] }) => image && region(image, 0, 0));
    expect(grid && region(grid, 0, 0)).toEqual(plain);
    expect(grid && region(grid, 64, 0)).toEqual(other);
    expect(other).not.toEqual(plain);
  });

  it('a matrix is made of the images that its prompts make alone', async () => {
    const { pixels, infotexts } = await send('txt2img', {
      prompt: 'a cat|hat',
      script_name: 'Prompt matrix',
    });
    const alone = await send('txt2img', { prompt: 'a cat, hat' });
    expect(pixels[2]).toEqual(alone.pixels[0]);
    expect(pixels[0] && region(pixels[0], 64, 0)).toEqual(pixels[2] && region(pixels[2], 0, 0));
    expect(infotexts[2]).toBe(alone.infotexts[0]);
  });
});

describe('img2img', () => {
  it('loopback goes on from its own images', async () => {
    const { pixels, infotexts } = await send('img2img', {
      init_images: [start],
      denoising_strength: 0.6,
      script_name: 'Loopback',
      script_args: [2, 0.6],
    });
    expect(sizes(pixels)).toEqual(['128x64', '64x64', '64x64']);
    const first = await send('img2img', { init_images: [start], denoising_strength: 0.6 });
    expect(pixels[1]).toEqual(first.pixels[0]);
    const second = await send('img2img', {
      init_images: [first.images[0]],
      denoising_strength: 0.6,
      seed: 6,
    });
    expect(pixels[2]).toEqual(second.pixels[0]);
    expect(infotexts[1]).toContain('Denoising curve: Linear');
  });

  it('SD upscale makes an image larger by a network or a filter, and generates its tiles', async () => {
    const upscale = (args: unknown[]) =>
      send('img2img', {
        init_images: [start],
        denoising_strength: 0.3,
        batch_size: 4,
        script_name: 'SD upscale',
        script_args: [null, 16, ...args],
      });
    const [network, filter] = await Promise.all([upscale(['tiny-2x', 2]), upscale(['Lanczos', 1.5])]);
    expect([sizes(network.pixels), sizes(filter.pixels)]).toEqual([['128x128'], ['96x96']]);
    expect(network.infotexts[0]).toContain('SD upscale overlap: 16, SD upscale upscaler: tiny-2x');
  });

  it.each([
    ["Poor man's outpainting", [32, 0, 'fill', ['right']]],
    ['Outpainting mk2', [null, 64, 0, ['right']]],
  ])('%s leaves the image as it was, and generates what is new', async (name, args) => {
    const { status, pixels, errors } = await send('img2img', {
      init_images: [start],
      script_name: name,
      script_args: args,
      denoising_strength: 0.8,
    });
    expect([status, errors]).toEqual([200, undefined]);
    const [image] = pixels;
    expect(sizes(pixels)).toEqual(['128x64']);
    // At the edge tiles fade into each other.
    const old = await send('img2img', {
      init_images: [start],
      mask: await blobToBase64(pngOf(64, 64, () => [0, 0, 0])),
      inpaint_full_res: false,
    });
    expect(image && region(image, 0, 0, 31)).toEqual(old.pixels[0] && region(old.pixels[0], 0, 0, 31));
    expect(new Set(image && region(image, 64, 0)).size).toBeGreaterThan(8);
  });

  it('a latent mask of its own changes what is generated, not what is pasted back', async () => {
    const left = await blobToBase64(pngOf(64, 64, (x) => (x < 32 ? [255, 255, 255] : [0, 0, 0])));
    const all = await blobToBase64(pngOf(64, 64, () => [255, 255, 255]));
    const body = {
      init_images: [start],
      mask: left,
      mask_blur: 0,
      inpaint_full_res: false,
      inpainting_fill: 1,
    };
    const [plain, own] = await Promise.all([
      send('img2img', body),
      send('img2img', { ...body, latent_mask: all }),
    ]);
    const [before, after] = [plain.pixels[0], own.pixels[0]];
    expect(after && region(after, 0, 0, 32)).not.toEqual(before && region(before, 0, 0, 32));
    expect(after && region(after, 32, 0, 32)).toEqual(before && region(before, 32, 0, 32));
  });
});
