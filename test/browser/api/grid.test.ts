import { expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { fromBase64 } from '#codecs/base64.ts';
import { decodePng } from '#codecs/png.ts';
import { colourOf, createFakeHost } from '../../support/fake-host.ts';
import { jsonOf, post } from '../../support/http.ts';

it('puts a grid in front of images that are to be saved', async () => {
  const api = createApi(createFakeHost());
  const body = { seed: 1000, width: 64, height: 32, steps: 1, batch_size: 3, save_images: true };
  const answer = await jsonOf<{ images: string[]; info: string }>(post(api, '/sdapi/v1/txt2img', body));
  const info = JSON.parse(answer.info) as { index_of_first_image: number; infotexts: string[] };
  expect(answer.images).toHaveLength(4);
  expect(info.index_of_first_image).toBe(1);
  expect(info.infotexts).toHaveLength(4);
  const grid = decodePng(fromBase64(answer.images[0] ?? ''));
  expect([grid.width, grid.height]).toEqual([128, 64]);
  const pixelAt = (x: number, y: number) => {
    const start = (y * grid.width + x) * grid.channels;
    return [...grid.data.slice(start, start + 3)];
  };
  expect(pixelAt(0, 0)).toEqual(colourOf(1000n));
  expect(pixelAt(64, 0)).toEqual(colourOf(1001n));
  expect(pixelAt(0, 32)).toEqual(colourOf(1002n));
  expect(pixelAt(64, 32)).toEqual([0, 0, 0]);
});

it('converts an image for a client that insists on a type', async () => {
  const fake = createFakeHost();
  const api = createApi(fake);
  await post(api, '/sdapi/txt2img', {
    model_id: 'emoji-mini',
    prompt: 'x',
    width: 64,
    height: 64,
    num_inference_steps: 5,
    scheduler: 'DDIMScheduler',
  });
  const [record] = await fake.host.jobs();
  const date = new Date(record?.queuedAt ?? 0);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-');
  const response = await api.request(`/files/${day}/${record?.id ?? ''}-0.png`, {
    headers: { Accept: 'image/webp' },
  });
  expect(response.headers.get('Content-Type')).toBe('image/webp');
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(new TextDecoder().decode(bytes.subarray(8, 12))).toBe('WEBP');
});
