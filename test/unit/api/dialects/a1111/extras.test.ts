import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { pixelsOf, progressOf } from '../../../../support/a1111.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('extras', () => {
  const image = toBase64(encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12) }));
  const addOns = [testAddOn('upscaler', '4x-sharp'), testAddOn('upscaler', 'coming', { installed: false })];

  async function extras(path: string, body: object, options: Parameters<typeof createFakeHost>[0] = {}) {
    const fake = createFakeHost({ addOns, ...options });
    const response = await post(createApi(fake), `/sdapi/v1/${path}`, body);
    return { response, answer: await jsonOf<Record<string, unknown>>(response), job: fake.upscalings[0] };
  }

  it('upscales an image', async () => {
    const { response, answer, job } = await extras('extra-single-image', {
      image: `data:image/png;base64,${image}`,
      upscaler_1: '4x-sharp',
      upscaling_resize: 3,
      upscaler_2: 'Lanczos',
      extras_upscaler_2_visibility: 0.5,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('X-Ignored-Parameters')).toBeNull();
    expect(answer).toEqual({
      html_info:
        '<p>Postprocess upscale by: 3, Postprocess upscaler: 4x-sharp, Postprocess upscaler 2: Lanczos</p>',
      image: expect.any(String) as string,
    });
    expect(pixelsOf(answer['image'] as string).width).toBe(16);
    expect(job).toMatchObject({
      task: 'upscale',
      post: [
        {
          kind: 'upscale',
          upscaler: '4x-sharp',
          second: { upscaler: 'Lanczos', visibility: 0.5 },
          size: { factor: 3 },
        },
      ],
      output: { format: 'png', texts: true },
    });
  });

  it('upscales several, to a size', async () => {
    const { answer, job } = await extras(
      'extra-batch-images',
      {
        imageList: [
          { data: image, name: 'a.png' },
          { data: image, name: 'b.png' },
        ],
        resize_mode: 1,
        upscaling_resize_w: 640,
        upscaling_resize_h: 480,
        upscaling_crop: false,
        upscaler_1: 'Nearest',
        show_extras_results: false,
      },
      { settings: { samples_format: 'webp', enable_pnginfo: false } },
    );
    expect(answer['images']).toHaveLength(2);
    expect(answer['html_info']).toBe('<p>Postprocess upscale to: 640x480, Postprocess upscaler: Nearest</p>');
    expect(job).toMatchObject({
      sources: [{ image: expect.any(Blob) as Blob }, { image: expect.any(Blob) as Blob }],
      post: [{ upscaler: 'Nearest', size: { width: 640, height: 480, crop: false } }],
      output: { format: 'webp', texts: false },
    });
    expect(job?.post[0]).not.toHaveProperty('second');
  });

  it('leaves images as they are by default, whatever the second upscaler', async () => {
    const { answer, job } = await extras('extra-single-image', { image, upscaler_2: 'nowhere' });
    expect(answer['html_info']).toBe('<p></p>');
    expect(job).toMatchObject({ post: [{ upscaler: 'None', size: { factor: 2 } }] });
  });

  it.each([
    [{ image: '' }, 500, { error: 'HTTPException', detail: 'Invalid encoded image', errors: '' }],
    [
      { image: 'bm8gcGljdHVyZQ==' },
      500,
      { error: 'HTTPException', detail: 'Invalid encoded image', errors: '' },
    ],
    [
      { image: 'http://localhost:1/a.png' },
      500,
      {
        error: 'HTTPException',
        detail: 'Invalid image url',
        errors: expect.stringContaining('cannot be reached') as string,
      },
    ],
    [
      { image, upscaler_1: 'nowhere' },
      500,
      { error: 'AssertionError', detail: '', errors: 'could not find upscaler named nowhere' },
    ],
    [
      { image, upscaler_1: 'coming' },
      500,
      { error: 'AssertionError', detail: '', errors: 'could not find upscaler named coming' },
    ],
    [
      { image, upscaler_1: 'Lanczos', upscaler_2: 'nowhere' },
      500,
      { error: 'AssertionError', detail: '', errors: 'could not find upscaler named nowhere' },
    ],
  ])('%j is refused', async (body, status, answer) => {
    const { response, answer: error, job } = await extras('extra-single-image', body);
    expect([response.status, error, job]).toEqual([status, { ...answer, body: '' }, undefined]);
  });

  it.each([
    ['resize_mode', 2, 'unexpected value; permitted: 0, 1'],
    ['upscaling_resize', 0, 'ensure this value is greater than 0'],
    ['upscaling_resize_w', 0, 'ensure this value is greater than or equal to 1'],
    ['extras_upscaler_2_visibility', 1.5, 'ensure this value is less than or equal to 1'],
  ])('%s of %d is refused as pydantic does', async (name, value, msg) => {
    const { response, answer } = await extras('extra-single-image', { image, [name]: value });
    expect(response.status).toBe(422);
    expect(answer).toMatchObject({ detail: [{ loc: ['body', name], msg }] });
  });

  it('shows in /progress', async () => {
    const api = createApi(createFakeHost({ addOns, stepMs: 200 }));
    const imageList = [
      { data: image, name: 'a.png' },
      { data: image, name: 'b.png' },
    ];
    const answer = post(api, '/sdapi/v1/extra-batch-images', { imageList, upscaler_1: 'Lanczos' });
    await waitFor(async () => {
      const { progress, state } = await progressOf(api);
      expect(state).toMatchObject({
        job: 'extras',
        job_count: 2,
        job_no: 1,
        sampling_step: 1,
        sampling_steps: 2,
      });
      expect(progress).toBeCloseTo(0.76);
    });
    expect((await answer).status).toBe(200);
  });
});
