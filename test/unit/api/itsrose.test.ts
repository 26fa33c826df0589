import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { colourOf, createFakeHost } from '../../support/fake-host.ts';

const request = {
  model_id: 'emoji-mini',
  prompt: 'a red apple',
  width: 256,
  height: 128,
  num_inference_steps: 5,
  guidance_scale: 7,
  scheduler: 'DPMSolverMultistepScheduler',
  seed: '1234',
  enhance_prompt: 'no',
};

function post(api: ReturnType<typeof createApi>, body: unknown, path = '/sdapi/txt2img') {
  return api.request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

describe('POST /sdapi/txt2img', () => {
  it('answers with the URL of a picture of the size and seed asked for', async () => {
    const api = createApi(createFakeHost());
    const response = await post(api, request);
    expect(response.status).toBe(200);
    const answer = await response.json();
    expect(answer).toMatchObject({
      status: true,
      message: 'success',
      result: {
        generation_time: expect.stringMatching(/^\d+\.\d\d$/),
        images: [expect.stringMatching(/^http:\/\/localhost\/files\/\d{4}-\d\d-\d\d\/[\w-]+-0\.png$/)],
        nsfw_content_detected: false,
        meta: {
          ...request,
          seed: '1234',
          scheduler: 'DPMSolverMultistepScheduler',
          samples: 1,
          tomesd: 'yes',
        },
      },
    });
    const file = await api.request(answer.result.images[0]);
    expect(file.headers.get('Content-Type')).toBe('image/png');
    const picture = decodePng(new Uint8Array(await file.arrayBuffer()));
    expect([picture.width, picture.height]).toEqual([256, 128]);
    expect([...picture.data.slice(0, 3)]).toEqual(colourOf(1234n));
  });
});
