import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { fromBase64, toBase64 } from '#codecs/base64.ts';
import { decodePng, encodePng } from '#codecs/png.ts';
import { colourOf, createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

const png = encodePng({ width: 8, height: 8, channels: 3, data: new Uint8Array(8 * 8 * 3) });

const request = {
  prompt: 'A dog',
  init_image: toBase64(png),
  seed: 77,
  sampler_name: 'Euler a',
  width: 100,
  height: 64,
  model: 'emoji-mini',
};

describe('POST /img2img', () => {
  it('starts from the image as A1111 does, and answers with images in base64', async () => {
    const fake = createFakeHost({ addOns: [testAddOn('lora', 'shiny')] });
    const body = { ...request, denoising_strength: 0.3, loras: [['shiny', 0.5]] };
    const answer = await jsonOf<{ images: string[] }>(post(createApi(fake), '/img2img', body));
    const [job] = fake.jobs;
    expect(job).toMatchObject({
      images: [{ prompt: ['A dog,<lora:shiny:0.5>'], seed: 77n }],
      init: { from: 'image', rules: 'a1111', fit: 'stretch' },
      passes: [
        {
          strength: 0.3,
          size: { width: 96, height: 64 },
          sampler: { sampler: 'euler_ancestral' },
          steps: 20,
        },
      ],
    });
    const start = job?.init.from === 'image' ? job.init.images[0] : undefined;
    expect(new Uint8Array((await start?.arrayBuffer()) ?? [])).toEqual(png);
    const image = decodePng(fromBase64(answer.images[0] ?? ''));
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(77n));
  });

  it.each([
    [undefined, 0.5],
    ['much', 0.5],
    [-1, 0],
    [2, 1],
  ])('takes a strength of %j for %d', async (denoisingStrength, strength) => {
    const fake = createFakeHost();
    const body = { ...request, denoising_strength: denoisingStrength };
    expect((await post(createApi(fake), '/img2img', body)).status).toBe(200);
    expect(fake.jobs[0]?.passes).toMatchObject([{ strength }]);
  });

  it.each([
    [{ init_image: undefined }, "'init_image' is empty."],
    [{ init_image: 'no image!' }, "'init_image' is neither a URL nor base64."],
    [{ init_image: toBase64(png.slice(0, 50)) }, "'init_image' is truncated or damaged."],
    [{ model: 'nowhere' }, 'Invalid model'],
  ])('answers 400 for %j', async (change, msg) => {
    const fake = createFakeHost();
    const response = await post(createApi(fake), '/img2img', { ...request, ...change });
    expect([response.status, await jsonOf(response)]).toEqual([400, { msg }]);
    expect(fake.jobs).toEqual([]);
  });
});
