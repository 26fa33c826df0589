import { describe, expect, it } from 'vitest';
import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { createApi } from '#api/index.ts';
import { isDiffusersSchedulerName } from '#engine/samplers/diffusers/index.ts';
import type { ImportOffer } from '#protocol/import.ts';
import { createFakeHost, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';

/** What is at an address, as the library tells it. */
function offerOf(kind: ImportOffer['kind'], problem: string | null = null): ImportOffer {
  return {
    id: 'vae-ft-mse-840000',
    title: 'vae-ft-mse-840000',
    kind,
    family: null,
    format: 'safetensors',
    summary: kind === 'vae' ? 'VAE, float16' : 'LoRA, float16',
    type: 'float16',
    parameters: null,
    files: [{ path: 'vae.safetensors', sizeBytes: 3_000_000, sha256: null }],
    options: [{ storage: 'exact', sizeBytes: 3_000_000, memoryBytes: 3_000_000 }],
    prediction: null,
    licence: { name: 'MIT' },
    warnings: [],
    problem,
  };
}

const hostWithVaeAt = (offer: ImportOffer) =>
  createFakeHost({ offerOf: () => ({ offer, pack: testAddOn('vae', offer.id).pack }) });

describe('models and lists', () => {
  it('has no scheduler that the engine does not know', () => {
    expect(DIFFUSERS_SCHEDULERS.filter((name) => !isDiffusersSchedulerName(name))).toEqual([]);
  });

  it('lists installed models and the 18 schedulers', async () => {
    const api = createApi(createFakeHost());
    expect(await answerOf(post(api, 'get_all_models', { key: 'k' }))).toEqual([
      {
        model_id: 'emoji-mini',
        model_name: 'Emoji Mini',
        status: 'model_ready',
        created_at: '1970-01-01T00:00:00.000Z',
      },
    ]);
    const { schedulers } = await answerOf(post(api, 'schedulers_list', { key: 'k' }));
    expect(schedulers).toHaveLength(18);
  });

  it('verifies, installs and deletes models', async () => {
    const absent = {
      ...TEST_MODEL,
      pack: { ...TEST_MODEL.pack, id: 'large', title: 'Large' },
      state: { stage: 'absent' as const },
      selected: false,
    };
    const api = createApi(createFakeHost({ models: [TEST_MODEL, absent] }));
    expect((await post(api, 'verify_model', { key: 'k', model_id: 'large' })).status).toBe(404);
    expect(await answerOf(post(api, 'load_model', { key: 'k', model_id: 'large' }))).toEqual({
      status: 'success',
      message: 'Model is being downloaded: large, 25 MB',
    });
    await expect
      .poll(() => answerOf(post(api, 'verify_model', { key: 'k', model_id: 'large' })))
      .toEqual({ status: 'success', message: 'Model is ready: large' });
    expect((await post(api, 'delete_model', { key: 'k', model_id: 'large' })).status).toBe(200);
    expect((await post(api, 'verify_model', { key: 'k', model_id: 'large' })).status).toBe(404);
  });

  it.each([
    'system_details',
    'restart_server',
    'update_server',
    'clear_cache',
    'images/update',
    'images/clear_queue',
  ])('%s is done at once', async (endpoint) => {
    expect(await answerOf(post(createApi(createFakeHost()), endpoint, { key: 'k' }))).toEqual({
      status: 'success',
      message: 'Operation completed successfully',
    });
  });
});

describe('load_vae', () => {
  const url = 'https://example.com/vae-ft-mse-840000.safetensors';

  it('makes an installed VAE the default, and the model’s own again', async () => {
    const host = createFakeHost({ addOns: [testAddOn('vae', 'soft'), testAddOn('vae', 'sharp')] });
    const api = createApi(host);
    expect(await answerOf(post(api, 'load_vae', { key: 'k', vae_id: 'Soft' }))).toEqual({
      status: 'success',
      message: 'VAE is ready: soft',
    });
    await post(api, 'text2img', example);
    await post(api, 'text2img', { ...example, vae: 'sharp' });
    await post(api, 'load_vae', { key: 'k', vae_id: 'none' });
    await post(api, 'text2img', example);
    expect(host.jobs.map(({ passes }) => passes[0].vae)).toEqual(['soft', 'sharp', undefined]);
  });

  it('does not apply a default of another family', async () => {
    const host = createFakeHost({ addOns: [testAddOn('vae', 'large', { family: 'sdxl' })] });
    await post(createApi(host), 'load_vae', { key: 'k', vae_id: 'large' });
    await post(createApi(host), 'text2img', example);
    expect(host.jobs[0]?.passes[0].vae).toBeUndefined();
  });

  it('brings one from an address, under the name that the client gives it', async () => {
    const host = hostWithVaeAt(offerOf('vae'));
    const api = createApi(host);
    expect(await answerOf(post(api, 'load_vae', { key: 'k', vae_id: 'my vae', vae_url: url }))).toEqual({
      status: 'success',
      message: 'Being downloaded: my vae, 3 MB',
    });
    await expect
      .poll(async () => (await post(api, 'text2img', { ...example, vae: 'My VAE' })).status)
      .toBe(200);
    expect(host.jobs[0]?.passes[0].vae).toBe('vae-ft-mse-840000');
  });

  it.each([
    [{ vae_id: 'soft' }, offerOf('vae'), 404, 'VAE not found: soft'],
    [{ vae_id: 'v', vae_url: url }, offerOf('lora'), 400, `${url} is not a VAE. It is: LoRA, float16`],
    [
      { vae_id: 'v', vae_url: url },
      offerOf('vae', 'Pickled files are not read.'),
      501,
      'Pickled files are not read.',
    ],
    [{ vae_url: url }, offerOf('vae'), 400, 'vae_id is required'],
  ])('refuses %j', async (body, offer, status, message) => {
    const response = await post(createApi(hostWithVaeAt(offer)), 'load_vae', { key: 'k', ...body });
    expect([response.status, await answerOf(response)]).toEqual([
      status,
      expect.objectContaining({ status: 'error', message }),
    ]);
  });

  it('load_model brings what is at an address, too', async () => {
    const host = createFakeHost({
      offerOf: () => ({ offer: offerOf('lora'), pack: testAddOn('lora', 'vae-ft-mse-840000').pack }),
    });
    const api = createApi(host);
    const body = { key: 'k', model_id: 'mine', url, model_type: 'lora' };
    expect((await answerOf(post(api, 'load_model', body)))['message']).toBe('Being downloaded: mine, 3 MB');
    await expect
      .poll(async () => (await post(api, 'text2img', { ...example, lora_model: 'mine' })).status)
      .toBe(200);
    expect(host.jobs[0]?.loras).toEqual([{ id: 'vae-ft-mse-840000', strength: 1 }]);
  });
});
