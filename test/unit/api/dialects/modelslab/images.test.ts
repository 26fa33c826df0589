import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';

const image = 'https://example.com/a.png';

describe.each([
  ['img2img', { init_image: image }, 'image-to-image'],
  ['inpaint', { init_image: image, mask_image: image }, 'inpainting'],
])('%s', (endpoint, fields, missing) => {
  it('is checked in full, then refused by name', async () => {
    const api = createApi(createFakeHost());
    const incomplete = await post(api, endpoint, example);
    expect(incomplete.status).toBe(400);
    expect((await answerOf(incomplete))['message']).toBe('init_image is required');

    const complete = await post(api, endpoint, { ...example, ...fields });
    expect(complete.status).toBe(501);
    expect((await answerOf(complete))['message']).toBe(
      `'${endpoint}' needs ${missing}, which is not available here yet.`,
    );
  });
});
