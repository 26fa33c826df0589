import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { fromBase64 } from '#codecs/base64.ts';
import { readPngText } from '#codecs/png-text.ts';
import { pixelsOf, SMALL, txt2img } from '../../../../support/a1111.ts';
import { colourOf, createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('POST /sdapi/v1/txt2img', () => {
  it('answers with images, the whole request and the run in a string', async () => {
    const { response, answer, info, job } = await txt2img({ ...SMALL, batch_size: 2, n_iter: 2 });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('X-Process-Time'))).toBeGreaterThan(0);
    expect(Object.keys(answer)).toEqual(['images', 'parameters', 'info']);
    expect(answer.images).toHaveLength(4);
    expect(answer.images.map((image) => [...pixelsOf(image).data.slice(0, 3)])).toEqual(
      [1000n, 1001n, 1002n, 1003n].map(colourOf),
    );
    expect(answer.parameters).toMatchObject({
      prompt: 'a red apple',
      sampler_name: null,
      sampler_index: 'Euler',
      seed: 1000,
      subseed: -1,
      cfg_scale: 7,
      alwayson_scripts: {},
      send_images: true,
      enable_hr: false,
    });
    expect(info.all_seeds).toEqual([1000, 1001, 1002, 1003]);
    expect(info.infotexts).toHaveLength(4);
    expect(info.job_timestamp).toMatch(/^\d{14}$/);
    expect(job).toMatchObject({
      task: 'generate',
      init: { from: 'noise' },
      batchSize: 2,
      noise: { source: 'philox' },
      post: [],
    });
  });

  it('has exactly the keys of Processed in info', async () => {
    const { info } = await txt2img(SMALL);
    expect(Object.keys(info).join(' ')).toBe(
      'prompt all_prompts negative_prompt all_negative_prompts seed all_seeds subseed all_subseeds ' +
        'subseed_strength width height sampler_name cfg_scale steps batch_size restore_faces ' +
        'face_restoration_model sd_model_name sd_model_hash sd_vae_name sd_vae_hash seed_resize_from_w ' +
        'seed_resize_from_h denoising_strength extra_generation_params index_of_first_image infotexts styles ' +
        'job_timestamp clip_skip is_using_inpainting_conditioning version',
    );
  });

  it('makes previews by what show_progress_type says', async () => {
    const by = async (type: string) =>
      (await txt2img({ ...SMALL, override_settings: { show_progress_type: type } })).job?.previewBy ?? 'map';
    expect(await by('Full')).toBe('vae');
    expect(await by('TAESD')).toBe('taesd');
    for (const type of ['Approx cheap', 'Approx NN']) expect(await by(type)).toBe('map');
  });

  it('generates 512×512 in 50 steps of Euler at 7.0 when nothing is said', async () => {
    const { answer, pass } = await txt2img({});
    expect(answer.images).toHaveLength(1);
    expect(pass).toEqual(
      expect.objectContaining({ model: 'emoji-mini', size: { width: 512, height: 512 }, strength: 1 }),
    );
    expect(pass).toMatchObject({
      steps: 50,
      guidanceScale: 7,
      sampler: { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic' },
    });
  });

  it('chooses a random seed below 2^32 − 2 for -1', async () => {
    const { answer, info } = await txt2img({ ...SMALL, seed: -1 });
    expect(answer.parameters.seed).toBe(-1);
    expect(info.seed).toBeGreaterThanOrEqual(0);
    expect(info.seed).toBeLessThan(4294967294);
  });

  it('keeps a seed of 64 bits exact, in and out', async () => {
    const fake = createFakeHost();
    const response = await createApi(fake).request('/sdapi/v1/txt2img', {
      method: 'POST',
      body: '{"width":64,"height":64,"steps":1,"seed":12345678901234567890}',
    });
    const text = await response.text();
    expect(text).toContain('"seed":12345678901234567890');
    expect(text).toContain('\\"all_seeds\\":[12345678901234567890]');
  });

  it('counts variations, not seeds, when there is a variation strength', async () => {
    const { info } = await txt2img({ ...SMALL, batch_size: 3, subseed: 5, subseed_strength: 0.3 });
    expect(info.all_seeds).toEqual([1000, 1000, 1000]);
    expect(info.all_subseeds).toEqual([5, 6, 7]);
  });

  it('applies styles and takes comments out', async () => {
    const { info, ignored } = await txt2img({
      ...SMALL,
      prompt: 'apple\n# not this\nred',
      styles: ['SAI Anime', 'no such style'],
    });
    expect(info.prompt).toContain('apple\nred');
    expect(info.prompt.length).toBeGreaterThan('apple\nred'.length + 5);
    expect(info.negative_prompt).not.toBe('');
    expect(ignored).toEqual(['styles']);
  });

  it('leaves images out when asked to', async () => {
    expect((await txt2img({ ...SMALL, send_images: false })).answer.images).toEqual([]);
  });

  it('writes the infotext into the file unless the options say no', async () => {
    const { answer } = await txt2img(SMALL);
    const texts = await readPngText(fromBase64(answer.images[0] ?? ''));
    expect(texts['parameters']).toContain('Seed: 1000');
    const { job } = await txt2img({ ...SMALL, override_settings: { enable_pnginfo: false } });
    expect(job?.output.texts).toEqual([{}]);
  });

  it('passes sampler settings on, from the request or else from the options', async () => {
    const { job, pass } = await txt2img({
      ...SMALL,
      sampler_name: 'Euler',
      s_churn: 0.5,
      eta: 0.25,
      override_settings: {
        s_noise: 1.1,
        randn_source: 'CPU',
        CLIP_stop_at_last_layers: 2,
        eta_noise_seed_delta: 31337,
        emphasis: 'No norm',
        sd_noise_schedule: 'Zero Terminal SNR',
        samples_format: 'webp',
      },
    });
    expect(pass?.sampler).toMatchObject({
      options: { sChurn: 0.5, eta: 0.25, sNoise: 1.1, noiseSchedule: 'zero_terminal_snr' },
    });
    expect(job?.noise).toMatchObject({ source: 'torch-cpu', etaNoiseSeedDelta: 31337 });
    expect(job?.promptOptions).toMatchObject({ clipSkip: 2, emphasis: 'no-norm' });
    expect(job?.output.format).toBe('webp');
    expect(job?.output.metadata?.extra).toEqual([
      ['Emphasis', 'No norm'],
      ['Eta', '0.25'],
      ['Sigma churn', '0.5'],
      ['Sigma noise', '1.1'],
      ['Noise Schedule', 'Zero Terminal SNR'],
    ]);
  });

  it('fills what the request leaves open from an infotext', async () => {
    const infotext =
      'a green pear\nNegative prompt: blue\nSteps: 4, Sampler: DPM++ 2M Karras, CFG scale: 3.5, Seed: 77, ' +
      'Size: 96x64, Clip skip: 2, RNG: CPU';
    const { job, info } = await txt2img({ infotext, seed: 5 });
    expect(job).toMatchObject({
      passes: [
        {
          size: { width: 96, height: 64 },
          steps: 4,
          guidanceScale: 3.5,
          sampler: { sampler: 'dpmpp_2m', schedule: 'karras' },
        },
      ],
      promptOptions: { clipSkip: 2 },
      noise: { source: 'torch-cpu' },
    });
    expect(info).toMatchObject({ prompt: 'a green pear', negative_prompt: 'blue', seed: 5 });
  });

  it('keeps overrides that are not to be restored', async () => {
    const api = createApi(createFakeHost());
    const override = { override_settings: { s_churn: 0.5 }, override_settings_restore_afterwards: false };
    await post(api, '/sdapi/v1/txt2img', { ...SMALL, ...override });
    expect((await jsonOf<{ s_churn: number }>(api.request('/sdapi/v1/options'))).s_churn).toBe(0.5);
  });

  it('names what it does not use', async () => {
    const { status, ignored } = await txt2img({
      ...SMALL,
      prompt: 'apple <lora:shiny:0.7> <hypernet:old:1>',
      clip_skip: 2,
      comments: { note: 'mine' },
      denoising_strength: 0.5,
      override_settings: {
        js_modal_lightbox: false,
        sd_model_checkpoint: 'nowhere',
        own_key: 1,
        sd_vae: 'my.vae.pt',
        sd_lora: 'shiny',
      },
    });
    expect(status).toBe(200);
    expect(ignored).toEqual([
      'clip_skip',
      'comments',
      'override_settings.js_modal_lightbox',
      'override_settings.own_key',
      'override_settings.sd_lora',
      'override_settings.sd_model_checkpoint',
      'override_settings.sd_vae',
      'prompt.<hypernet:old>',
      'prompt.<lora:shiny>',
    ]);
  });
  it.each([
    [{ tiling: true }, 'tiling'],
    [{ override_settings: { token_merging_ratio: 0.5 } }, 'token_merging_ratio'],
    [{ alwayson_scripts: { Hypertile: { args: [true] } } }, 'hypertile'],
  ])('refuses %j before any work', async (body, words) => {
    const { status, answer, job } = await txt2img({ ...SMALL, ...body });
    expect(status).toBe(422);
    expect(answer).toEqual({
      error: 'HTTPException',
      detail: expect.stringContaining(words) as string,
      body: '',
      errors: '',
    });
    expect(job).toBeUndefined();
  });

  it('refuses scripts in the words of the original', async () => {
    const selected = await txt2img({ ...SMALL, script_name: 'Some script' });
    expect(selected.response.status).toBe(422);
    expect(selected.answer.detail).toBe("Script 'Some script' not found");
    const always = await txt2img({ ...SMALL, alwayson_scripts: { 'Some script': { args: [] } } });
    expect(always.answer.detail).toBe('always on script Some script not found');
  });

  it('asks for whole timesteps where the options do', async () => {
    const { pass } = await txt2img({ ...SMALL, override_settings: { enable_quantization: true } });
    expect(pass?.sampler).toMatchObject({ options: { quantize: true } });
  });

  it('generates with another VAE and says so', async () => {
    const addOns = [testAddOn('vae', 'soft', { family: 'sd1' })];
    const generate = (sd_vae: string) => txt2img({ ...SMALL, override_settings: { sd_vae } }, { addOns });
    const { pass, info } = await generate('soft.safetensors');
    expect(pass?.vae).toBe('soft');
    expect(info).toMatchObject({ sd_vae_name: 'soft.safetensors', sd_vae_hash: 'fedcba9876' });
    for (const name of ['Automatic', 'None']) {
      const own = await generate(name);
      expect(own.pass).not.toHaveProperty('vae');
      expect(own.ignored).toEqual([]);
    }
  });
});
