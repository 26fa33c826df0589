import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { createFakeHost, OWN_GRAPHS_MODEL } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { request } from './request.ts';

const flat = (value: number) =>
  encodePng({ width: 8, height: 8, channels: 3, data: new Uint8Array(8 * 8 * 3).fill(value) });
const [image, mask] = [flat(90), flat(255)];
const uri = (png: Uint8Array) => `data:image/png;base64,${toBase64(png)}`;

const img2img = { ...request, init_image: uri(image) };
const inpaint = { ...img2img, mask_image: uri(mask) };

interface Answer {
  status: boolean;
  message: string;
  result: { images: string[]; meta: Record<string, unknown> };
}

const bytesOf = async (file: Blob | undefined) => new Uint8Array((await file?.arrayBuffer()) ?? []);

describe('/sdapi/img2img', () => {
  it('starts from the image, stretched to the size, as diffusers does', async () => {
    const fake = createFakeHost({ models: [OWN_GRAPHS_MODEL] });
    const body = { ...img2img, model_id: 'photo', strength: 0.4, tomesd: 'yes', upscale: 'yes' };
    const answer = await jsonOf<Answer>(post(createApi(fake), '/sdapi/img2img', body));
    const [job] = fake.jobs;
    expect(job).toMatchObject({
      init: { from: 'image', rules: 'diffusers', fit: 'stretch' },
      passes: [{ strength: 0.4, size: { width: 256, height: 128 }, graph: { tokenMerging: 0.5 } }],
      post: [
        { kind: 'upscale', size: { factor: 2 } },
        { kind: 'safety', action: 'text' },
      ],
    });
    expect(await bytesOf(job?.init.from === 'image' ? job.init.images[0] : undefined)).toEqual(image);
    expect(answer.result.meta).toMatchObject({ strength: 0.4, init_image: null, width: 512 });
    expect(answer.result.images).toHaveLength(1);
  });

  it('takes images by their URLs, and repeats those', async () => {
    const fake = createFakeHost();
    const api = createApi(fake);
    const first = await jsonOf<Answer>(post(api, '/sdapi/txt2img', request));
    const [url = ''] = first.result.images;
    const second = await jsonOf<Answer>(post(api, '/sdapi/img2img', { ...request, init_image: url }));
    expect(second.result.meta).toMatchObject({ init_image: url, strength: 0.7 });
    const { init } = fake.jobs[1] ?? {};
    const file = await (await api.request(url)).arrayBuffer();
    expect(await bytesOf(init?.from === 'image' ? init.images[0] : undefined)).toEqual(new Uint8Array(file));
  });
});

describe('/sdapi/inpaint', () => {
  it('generates what is white in the mask, and keeps the rest', async () => {
    const fake = createFakeHost();
    const answer = await jsonOf<Answer>(post(createApi(fake), '/sdapi/inpaint', inpaint));
    expect(answer.status).toBe(true);
    const { init } = fake.jobs[0] ?? {};
    expect(init).toMatchObject({
      from: 'masked',
      rules: 'diffusers',
      fill: 'original',
      area: 'whole',
      overlay: true,
      mask: { kind: 'image', invert: false },
    });
    const source = init?.from === 'masked' ? init.mask : undefined;
    expect(await bytesOf(source?.kind === 'image' ? source.mask : undefined)).toEqual(mask);
  });
});

it.each([
  ['img2img', { init_image: undefined }, "must have required property 'init_image'"],
  ['img2img', { strength: -1 }, 'must be >= 0'],
  ['img2img', { strength: 2 }, 'must be <= 1'],
  ['img2img', { init_image: 'https://127.0.0.1:1/a.png' }, 'Unable to fetch image from provided URL'],
  ['img2img', { init_image: uri(image.slice(0, 50)) }, "'init_image' is truncated or damaged."],
  ['inpaint', { mask_image: undefined }, "must have required property 'mask_image'"],
  ['inpaint', { mask_image: 'AAAA' }, "'mask_image' is not a PNG, JPEG, WebP or GIF file."],
])('/sdapi/%s answers 400 for %j', async (route, change, message) => {
  const fake = createFakeHost();
  const response = await post(createApi(fake), `/sdapi/${route}`, { ...inpaint, ...change });
  expect([response.status, await jsonOf(response)]).toEqual([
    400,
    expect.objectContaining({ status: false, message: expect.stringContaining(message) as string }),
  ]);
  expect(fake.jobs).toEqual([]);
});
