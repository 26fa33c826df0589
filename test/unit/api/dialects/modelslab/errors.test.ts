import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { AppError } from '#protocol/error.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';

describe('errors', () => {
  it.each([
    [{ prompt: undefined }, 'prompt is required'],
    [{ prompt: ' ' }, 'prompt is required'],
    [{ width: 128 }, 'width must be between 256 and 1024'],
    [{ height: '2048' }, 'height must be between 256 and 1024'],
    [{ height: 260 }, 'height must be divisible by 8'],
    [{ samples: 5 }, 'samples must be between 1 and 4'],
    [{ guidance_scale: 21 }, 'guidance_scale must be between 1 and 20'],
    [{ guidance_scale: 'much' }, 'guidance_scale must be between 1 and 20'],
    [{ enhance_prompt: 'maybe' }, 'enhance_prompt must be yes or no'],
    [{ seed: 'abc' }, 'seed must be an integer'],
    [{ clip_skip: 9 }, 'clip_skip must be between 1 and 8'],
  ])('400 for %o: %s', async (wrong, message) => {
    const host = createFakeHost();
    const response = await post(createApi(host), 'text2img', { ...example, ...wrong });
    expect(response.status).toBe(400);
    expect(await answerOf(response)).toEqual({ status: 'error', message, messege: message });
    expect(host.jobs).toEqual([]);
  });

  it('400 for an unknown scheduler, naming those there are', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', { ...example, scheduler: 'Magic' });
    expect(response.status).toBe(400);
    expect((await answerOf(response))['message']).toMatch(/^scheduler must be one of: DDPMScheduler, /);
  });

  it('404 for a model that is not installed, with a tip', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      model_id: 'midjourney',
    });
    expect(response.status).toBe(404);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'Model not found: midjourney',
      tip: 'Installed models: emoji-mini',
    });
  });

  it('runs the selected model for one that is not installed, where the setting says so', async () => {
    const host = createFakeHost({ settings: { 'modelslab.unknown_model': true } });
    const response = await post(createApi(host), 'text2img', { ...example, model_id: 'midjourney' });
    expect(response.headers.get('X-Ignored-Parameters')).toContain('model_id');
    expect(await answerOf(response)).toMatchObject({
      status: 'success',
      tip: 'midjourney is not installed; emoji-mini ran in its place.',
      meta: { model_id: 'emoji-mini' },
    });
  });

  it('401 without a key, and for another key than the one that was set', async () => {
    const open = createApi(createFakeHost());
    expect((await post(open, 'text2img', { ...example, key: '' })).status).toBe(401);
    expect(
      (await post(open, 'text2img', { ...example, key: '' }, { Authorization: 'Bearer abc' })).status,
    ).toBe(200);

    const locked = createApi(createFakeHost({ settings: { 'modelslab.key': 'secret' } }));
    const refused = await post(locked, 'system_details', { key: 'wrong' });
    expect(refused.status).toBe(401);
    expect(await answerOf(refused)).toMatchObject({ status: 'error', message: 'Invalid API key' });
    expect((await post(locked, 'system_details', { key: 'secret' })).status).toBe(200);
  });

  it('500 with the reason when a job fails while it is waited for', async () => {
    const host = createFakeHost({ failure: new AppError('not_a_number', 'The image came out empty.') });
    const response = await post(createApi(host), 'text2img', example);
    expect(response.status).toBe(500);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'The image came out empty.',
    });
  });

  it('429 when the queue is full', async () => {
    const host = createFakeHost({ stepMs: 1000, settings: { 'modelslab.wait_seconds': 0 } });
    const api = createApi(host);
    for (let i = 0; i < 100; i++) await post(api, 'text2img', example);
    const response = await post(api, 'text2img', example);
    expect(response.status).toBe(429);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'Rate limit exceeded. Maximum 100 queued requests allowed.',
      retry_after: 30,
    });
  });

  it('503 when no tab is open', async () => {
    const host = createFakeHost();
    host.vanish();
    const response = await post(createApi(host), 'text2img', example);
    expect(response.status).toBe(503);
    expect(await answerOf(response)).toMatchObject({ status: 'error' });
  });

  it.each([
    ['lora_model', 'shiny, matte', 'LoRA not found: matte', 'Installed: shiny'],
    ['vae', 'my-vae', 'VAE not found: my-vae', 'Installed: none'],
    ['embeddings_model', 'shiny', 'Embedding not found: shiny', 'Installed: none'],
  ])('404 for a %s that is not installed', async (name, value, message, tip) => {
    const host = createFakeHost({ addOns: [testAddOn('lora', 'shiny')] });
    const response = await post(createApi(host), 'text2img', { ...example, [name]: value });
    expect(response.status).toBe(404);
    expect(await answerOf(response)).toMatchObject({ status: 'error', message, tip });
    expect(host.jobs).toEqual([]);
  });

  it('400 for a strength that is no number', async () => {
    const body = { ...example, lora_model: 'shiny', lora_strength: 'much' };
    const response = await post(createApi(createFakeHost()), 'text2img', body);
    expect(response.status).toBe(400);
    expect((await answerOf(response))['message']).toContain('lora_strength must be a number');
  });
});
