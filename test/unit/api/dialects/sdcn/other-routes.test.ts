import { expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

it('says what the other routes lack, each in its field', async () => {
  const api = createApi(createFakeHost());
  const img2img = await post(api, '/img2img', { init_image: 'x' });
  expect([img2img.status, await jsonOf(img2img)]).toEqual([
    400,
    { msg: "'img2img' needs image-to-image, which is not available here yet." },
  ]);
  const unknown = await post(api, '/interrogate', { image: 'x', model: 'blip9' });
  expect([unknown.status, await jsonOf(unknown)]).toEqual([404, { detail: 'Model not found' }]);
  const interrogate = await post(api, '/interrogate', { image: 'x', model: 'clip' });
  expect([interrogate.status, await jsonOf(interrogate)]).toEqual([
    400,
    { detail: expect.stringContaining('a model that describes images') as string },
  ]);
});
