import { compareImages } from '../support/images.ts';
import { readReferenceImages, SAME_IMAGE } from '../support/reference-images.ts';
import { call, expect, fetchBytes, test } from './app.ts';

test('the built-in model draws in Chromium what diffusers draws', async ({ studio }) => {
  for (const reference of readReferenceImages()) {
    const { body } = await call<{ id: number }>(studio, '/api/v1/enterprise/text2img', {
      key: 'any',
      model_id: 'emoji-mini',
      prompt: reference.prompt,
      negative_prompt: reference.negative_prompt,
      enhance_prompt: 'no',
      width: 256,
      height: 256,
      num_inference_steps: reference.num_inference_steps,
      guidance_scale: reference.guidance_scale,
      seed: reference.seed,
      scheduler: reference.scheduler,
      use_karras_sigmas: 'no',
    });
    const fetched = () =>
      call<{ status: string; output: string[] }>(studio, `/api/v1/enterprise/fetch/${body.id}`, {
        key: 'any',
      });
    await expect.poll(async () => (await fetched()).body.status, { timeout: 90_000 }).toBe('success');
    const png = await fetchBytes(studio, (await fetched()).body.output[0] ?? '');
    const { mean, outliers } = compareImages(png, reference.png);
    expect(mean, reference.name).toBeLessThanOrEqual(SAME_IMAGE.mean);
    expect(outliers, reference.name).toBeLessThanOrEqual(SAME_IMAGE.outliers);
  }
});
