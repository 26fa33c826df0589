import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { bytesOf, generate } from '../../../../support/fooocus.ts';
import { colourOf, createFakeHost } from '../../../../support/fake-host.ts';

describe('files', () => {
  it('are served as they are to browsers and to clients without an Accept header', async () => {
    const api = createApi(createFakeHost());
    const [result] = await generate(api);
    for (const Accept of ['image/avif,image/webp,*/*', 'image/png', '']) {
      const response = await api.request(result?.url ?? '', { headers: Accept ? { Accept } : {} });
      expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'image/png']);
    }
  });

  it('are replaced by newer ones of the same name', async () => {
    const api = createApi(createFakeHost());
    const [first] = await generate(api, { save_name: 'apple' });
    const [second] = await generate(api, { save_name: 'apple', image_seed: 99 });
    expect(second?.url).toBe(first?.url);
    const image = decodePng(await bytesOf(api.request(first?.url ?? '')));
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(99n));
  });

  it.each(['/files/2026-01-31/nothing.png', '/files/2026-01-31/text.txt'])('404 for %s', async (path) => {
    expect((await createApi(createFakeHost()).request(path)).status).toBe(404);
  });
});
