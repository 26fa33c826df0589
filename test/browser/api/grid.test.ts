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
  expect(pixelAt(64, 32)).toEqual([255, 255, 255]);
});

it('writes legends beside the cells of a grid', async () => {
  const api = createApi(createFakeHost());
  const send = async (body: object) => {
    const request = { seed: 1000, width: 64, height: 64, steps: 1, ...body };
    const answer = await jsonOf<{ images: string[] }>(post(api, '/sdapi/v1/txt2img', request));
    return decodePng(fromBase64(answer.images[0] ?? ''));
  };
  const inkOf = ({ data, channels, width }: ReturnType<typeof decodePng>, toX: number, toY: number) => {
    let ink = 0;
    for (let i = 0; i < data.length; i += channels) {
      const pixel = i / channels;
      const isInside = pixel % width < toX && Math.floor(pixel / width) < toY;
      if (isInside && (data[i] ?? 255) < 200) ink += 1;
    }
    return ink;
  };

  const matrix = await send({ prompt: 'a tree|snow|night', script_name: 'Prompt matrix' });
  // Three quarters of a cell on the left; above as high as the text.
  expect(matrix.width).toBe(2 * 64 + 48);
  const above = matrix.height - 2 * 64;
  expect(above).toBeGreaterThan(4);
  expect(inkOf(matrix, matrix.width, above)).toBeGreaterThan(10);
  expect(inkOf(matrix, 48, matrix.height)).toBeGreaterThan(10);

  const plot = (legend: boolean) =>
    send({
      prompt: 'a tree',
      script_name: 'X/Y/Z plot',
      script_args: ['Steps', '1,2', [], 0, '', [], 'Seed', '1,2', [], legend],
    });
  const [plain, legible] = [await plot(false), await plot(true)];
  expect([plain.width, plain.height]).toEqual([256, 64]);
  // Texts above the columns, and those of the grids above them.
  expect(legible.width).toBe(256);
  expect(legible.height).toBeGreaterThan(64 + 8);
  expect(inkOf(legible, 256, legible.height - 64)).toBeGreaterThan(20);
});

it('writes grids in the format of the options, with their infotext', async () => {
  const api = createApi(createFakeHost());
  const request = {
    ...{ prompt: 'a tree', seed: 1000, width: 64, height: 64, steps: 1 },
    script_name: 'X/Y/Z plot',
    script_args: ['Seed', '1,2', []],
    override_settings: { samples_format: 'jpg', grid_save: false },
  };
  const answer = await jsonOf<{ images: string[] }>(post(api, '/sdapi/v1/txt2img', request));
  const info = await jsonOf<{ info: string }>(post(api, '/sdapi/v1/png-info', { image: answer.images[0] }));
  expect([...fromBase64(answer.images[0] ?? '').slice(0, 2)]).toEqual([0xff, 0xd8]);
  expect(info.info).toContain('X Type: Seed');
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
