import { afterEach, describe, expect, it, vi } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';

const HOUR = 60 * 60 * 1000;
const png = encodePng({ width: 8, height: 8, channels: 3, data: new Uint8Array(8 * 8 * 3) });

afterEach(() => void vi.useRealTimers());

/** Sets the clock alone. */
function passTime(ms: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
}

describe('temp', () => {
  it.each(['no', 'yes'])('ends links after 24 hours, with base64: %s', async (base64) => {
    const host = createFakeHost();
    const api = createApi(host);
    const { output, id } = await answerOf(post(api, 'text2img', { ...example, temp: 'yes', base64 }));
    const [url = ''] = output as string[];
    passTime(23 * HOUR);
    expect((await api.request(url)).status).toBe(200);
    passTime(2 * HOUR);
    expect((await api.request(url)).status).toBe(404);
    // To fetch the answer again makes no new link, and the image is still the user's.
    await post(api, `fetch/${String(id)}`, { key: 'k' });
    expect((await api.request(url)).status).toBe(404);
    expect(await host.host.images((await host.host.jobs())[0]?.id ?? '')).toHaveLength(1);
  });

  it('is off unless asked for', async () => {
    const api = createApi(createFakeHost());
    const { output } = await answerOf(post(api, 'text2img', example));
    passTime(1000 * HOUR);
    expect((await api.request((output as string[])[0] ?? '')).status).toBe(200);
  });
});

describe('upload_image', () => {
  const upload = { key: 'k', base64_image: toBase64(png), image_type: 'png' };

  it('gives a URL that other requests take, for 24 hours', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const answer = await answerOf(post(api, 'upload_image', upload));
    expect(answer).toMatchObject({
      status: 'success',
      link: expect.stringMatching(
        /^http:\/\/localhost\/files\/\d{4}-\d\d-\d\d\/[\da-f-]{36}\.png$/,
      ) as string,
    });
    const link = String(answer['link']);
    const file = await api.request(link);
    expect(file.headers.get('Content-Type')).toBe('image/png');
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(png);
    expect((await post(api, 'img2img', { ...example, init_image: link })).status).toBe(200);
    expect(host.jobs[0]).toMatchObject({ init: { from: 'image' } });
    passTime(25 * HOUR);
    const late = await post(api, 'img2img', { ...example, init_image: link });
    expect([late.status, (await answerOf(late))['message']]).toEqual([
      400,
      expect.stringContaining('or it has expired'),
    ]);
  });

  it.each([
    [{ base64_image: undefined }, 'base64_image is required'],
    [{ base64_image: btoa('<svg/>') }, "'base64_image' is not a PNG, JPEG, WebP or GIF file."],
    [{ image_type: 'exe' }, 'image_type must be one of: png, jpeg, jpg'],
  ])('refuses %j', async (change, message) => {
    const response = await post(createApi(createFakeHost()), 'upload_image', { ...upload, ...change });
    expect([response.status, (await answerOf(response))['message']]).toEqual([400, message]);
  });
});
