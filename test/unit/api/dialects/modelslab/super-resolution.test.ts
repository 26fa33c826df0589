import { expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { decodePng, encodePng } from '#codecs/png.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, post } from './request.ts';

const png = encodePng({ width: 4, height: 2, channels: 3, data: new Uint8Array(4 * 2 * 3) });
const request = { key: 'k', url: `data:image/png;base64,${toBase64(png)}`, scale: '4' };
const addOns = [testAddOn('upscaler', 'sharp'), testAddOn('upscaler', 'RealESRGAN_x4plus')];

it('upscales an image and answers with the URL of the result', async () => {
  const host = createFakeHost({ addOns });
  const api = createApi(host);
  const body = { ...request, model_id: 'realesrgan_x4plus' };
  const answer = await answerOf(post(api, 'super_resolution', body));
  expect(answer).toMatchObject({
    status: 'success',
    id: expect.any(Number) as number,
    meta: { model_id: 'RealESRGAN_x4plus', scale: 4, face_enhance: 'no' },
  });
  expect(host.upscalings).toMatchObject([
    { post: [{ kind: 'upscale', upscaler: 'RealESRGAN_x4plus', size: { factor: 4 } }] },
  ]);
  const [url = ''] = answer['output'] as string[];
  const file = await (await api.request(url)).arrayBuffer();
  expect(decodePng(new Uint8Array(file))).toMatchObject({ width: 16, height: 8 });
});

it.each([
  ['/api/v1/enterprise/super_resolution/make', '/api/v1/enterprise/super_resolution/fetch'],
  ['/api/v1/enterprise/image_editing/super_resolution', '/api/v1/enterprise/image_editing/fetch'],
  ['/api/v6/image_editing/super_resolution', '/api/v6/image_editing/fetch'],
])('is found where the SDK looks for it: %s', async (path, fetchPath) => {
  const api = createApi(createFakeHost({ addOns }));
  const { status, id } = await answerOf(post(api, path, request));
  expect(status).toBe('success');
  expect(await answerOf(post(api, `${fetchPath}/${String(id)}`, { key: 'k' }))).toMatchObject({ id });
  expect(await answerOf(post(api, fetchPath, { key: 'k', request_id: id }))).toMatchObject({ id });
});

it('takes what is installed where no upscaler is named', async () => {
  const host = createFakeHost({ addOns });
  expect((await post(createApi(host), 'super_resolution', request)).status).toBe(200);
  expect(host.upscalings).toMatchObject([{ post: [{ upscaler: 'sharp' }] }]);
});

it('answers processing when the wait is over, and success to a later fetch', async () => {
  const host = createFakeHost({ addOns, settings: { 'modelslab.wait_seconds': 0 } });
  const api = createApi(host);
  const { status, id } = await answerOf(post(api, 'super_resolution', request));
  expect(status).toBe('processing');
  await expect
    .poll(async () => (await answerOf(post(api, `fetch/${String(id)}`, { key: 'k' })))['status'])
    .toBe('success');
});

it('restores faces first, by an installed network or by the selected model', async () => {
  const asked = { ...request, face_enhance: 'yes' };
  const finder = testAddOn('finder', 'faces');
  const builtIn = createFakeHost({ addOns: [...addOns, finder] });
  const answer = await answerOf(post(createApi(builtIn), 'super_resolution', asked));
  expect(answer).toMatchObject({ status: 'success', meta: { model_id: 'sharp', face_enhance: 'yes' } });
  expect(builtIn.upscalings).toMatchObject([
    {
      post: [
        { kind: 'detail', finder: { kind: 'faces' }, pass: { model: 'emoji-mini', strength: 0.4 } },
        { kind: 'upscale', upscaler: 'sharp' },
      ],
    },
  ]);
  const network = createFakeHost({ addOns: [...addOns, finder, testAddOn('face-restorer', 'gfpgan')] });
  await post(createApi(network), 'super_resolution', asked);
  expect(network.upscalings).toMatchObject([
    { post: [{ kind: 'restore-faces', restorer: 'gfpgan', visibility: 1 }, { kind: 'upscale' }] },
  ]);
});

it.each([
  [{ scale: undefined }, 400, 'scale is required'],
  [{ scale: 9 }, 400, 'scale must be between 1 and 4'],
  [{ url: undefined }, 400, 'url is required'],
  [{ model_id: 'ultra_resolution' }, 404, 'Upscaler not found: ultra_resolution'],
])('refuses %j', async (change, status, message) => {
  const host = createFakeHost({ addOns });
  const response = await post(createApi(host), 'super_resolution', { ...request, ...change });
  expect([response.status, (await answerOf(response))['message']]).toEqual([status, message]);
  expect(host.upscalings).toEqual([]);
});

it('names the service’s upscaler where none is installed', async () => {
  const response = await post(createApi(createFakeHost()), 'super_resolution', request);
  expect([response.status, await answerOf(response)]).toEqual([
    404,
    expect.objectContaining({ message: 'Upscaler not found: realesr-general-x4v3', tip: 'Installed: none' }),
  ]);
});
