import { describe, expect, it, vi } from 'vitest';
import { planGrid } from '#api/dialects/a1111/grid.ts';
import { createApi, type Api } from '#api/index.ts';
import { fromBase64, toBase64 } from '#codecs/base64.ts';
import { decodePng, encodePng } from '#codecs/png.ts';
import { readPngText } from '#codecs/png-text.ts';
import type { TextToImageJob } from '#protocol/job.ts';
import { colourOf, createFakeHost, TEST_MODEL, testAddOn } from '../../support/fake-host.ts';
import { jsonOf, post } from '../../support/http.ts';

const SMALL = { prompt: 'a red apple', width: 64, height: 64, steps: 3, seed: 1000 };

interface Txt2imgAnswer {
  images: string[];
  parameters: Record<string, unknown>;
  info: string;
  detail?: string;
}

interface Info {
  prompt: string;
  negative_prompt: string;
  seed: number;
  all_seeds: number[];
  all_subseeds: number[];
  infotexts: string[];
  job_timestamp: string;
  index_of_first_image: number;
}

interface Progress {
  progress: number;
  current_image: string | null;
  state: { sampling_step: number; job_count: number; job_no: number };
}

async function txt2img(body: object, options: Parameters<typeof createFakeHost>[0] = {}) {
  const fake = createFakeHost(options);
  const response = await post(createApi(fake), '/sdapi/v1/txt2img', body);
  const answer = await jsonOf<Txt2imgAnswer>(response);
  return {
    response,
    answer,
    info: JSON.parse(response.ok ? answer.info : 'null') as Info,
    job: fake.jobs[0] as TextToImageJob,
  };
}

function progressOf(api: Api): Promise<Progress> {
  return jsonOf<Progress>(api.request('/sdapi/v1/progress'));
}

function pixelsOf(base64: string | null | undefined) {
  return decodePng(fromBase64(base64 ?? ''));
}

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
    expect(job.batchSize).toBe(2);
    expect(job.noise.source).toBe('philox');
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

  it('draws 512×512 in 50 steps of Euler at 7.0 when nothing is said', async () => {
    const { answer, job } = await txt2img({});
    expect(answer.images).toHaveLength(1);
    expect(job).toMatchObject({
      width: 512,
      height: 512,
      steps: 50,
      guidanceScale: 7,
      sampler: { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic' },
    });
  });

  it('draws the seed at random below 2^32 − 2 for -1', async () => {
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
    const { info, response } = await txt2img({
      ...SMALL,
      prompt: 'apple\n# not this\nred',
      styles: ['SAI Anime', 'no such style'],
    });
    expect(info.prompt).toContain('apple\nred');
    expect(info.prompt.length).toBeGreaterThan('apple\nred'.length + 5);
    expect(info.negative_prompt).not.toBe('');
    expect(response.headers.get('X-Ignored-Parameters')).toBe('styles');
  });

  it('leaves images out when asked to', async () => {
    expect((await txt2img({ ...SMALL, send_images: false })).answer.images).toEqual([]);
  });

  it.each([
    [3, -1, 1, { columns: 2, rowCount: 2 }],
    [9, -1, 1, { columns: 3, rowCount: 3 }],
    [6, 2, 1, { columns: 3, rowCount: 2 }],
    [6, 0, 3, { columns: 2, rowCount: 3 }],
    [2, 5, 1, { columns: 1, rowCount: 2 }],
  ])('lays %i images with n_rows %i and batches of %i out as %j', (count, rows, batchSize, grid) => {
    expect(planGrid(count, rows, batchSize)).toEqual(grid);
  });

  it('writes the infotext into the file unless told not to', async () => {
    const { answer } = await txt2img(SMALL);
    expect(await readPngText(fromBase64(answer.images[0] ?? ''))).toEqual({ parameters: 'seed 1000' });
    const { job } = await txt2img({ ...SMALL, override_settings: { enable_pnginfo: false } });
    expect(job.output.texts).toEqual([{}]);
  });

  it.each([
    ['Euler a', null, 'euler_ancestral', 'automatic', 'Automatic'],
    ['DPM++ 2M', null, 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M', 'Automatic', 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M Karras', null, 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M Karras', 'exponential', 'dpmpp_2m', 'exponential', 'Exponential'],
    ['DPM++ 2M SDE Exponential', null, 'dpmpp_2m_sde', 'exponential', 'Exponential'],
    ['DPM++ 2M SDE Heun', null, 'dpmpp_2m_sde_heun', 'exponential', 'Exponential'],
    ['DPM2 a Karras', null, 'dpm_2_ancestral', 'karras', 'Karras'],
    ['k_euler_a', null, 'euler_ancestral', 'automatic', 'Automatic'],
    ['UniPC', 'SGM Uniform', 'unipc', 'sgm_uniform', 'SGM Uniform'],
    ['Nonsense', null, 'dpmpp_2m', 'karras', 'Karras'],
  ])('runs sampler %s with scheduler %s as %s on %s', async (name, scheduler, sampler, schedule, label) => {
    const { job, response } = await txt2img({ ...SMALL, sampler_name: name, scheduler });
    expect(job.sampler).toMatchObject({ sampler, schedule });
    expect(job.output.metadata?.scheduleLabel).toBe(label);
    expect(response.headers.get('X-Ignored-Parameters')).toBe(name === 'Nonsense' ? 'sampler_name' : null);
  });

  it('passes sampler settings on, from the request or else from the options', async () => {
    const { job } = await txt2img({
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
    expect(job.sampler).toMatchObject({
      options: { sChurn: 0.5, eta: 0.25, sNoise: 1.1, noiseSchedule: 'zero_terminal_snr' },
    });
    expect(job.noise).toMatchObject({ source: 'torch-cpu', etaNoiseSeedDelta: 31337 });
    expect(job.promptOptions).toMatchObject({ clipSkip: 2, emphasis: 'no-norm' });
    expect(job.output.format).toBe('webp');
    expect(job.output.metadata?.extra).toEqual([
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
      width: 96,
      height: 64,
      steps: 4,
      guidanceScale: 3.5,
      sampler: { sampler: 'dpmpp_2m', schedule: 'karras' },
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
    const { response } = await txt2img({
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
        img2img_extra_noise: 0.1,
      },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('X-Ignored-Parameters')?.split(', ').sort()).toEqual([
      'clip_skip',
      'comments',
      'override_settings.img2img_extra_noise',
      'override_settings.js_modal_lightbox',
      'override_settings.own_key',
      'override_settings.sd_lora',
      'override_settings.sd_model_checkpoint',
      'override_settings.sd_vae',
      'prompt.<hypernet:old>',
      'prompt.<lora:shiny>',
    ]);
  });

  describe('with add-ons', () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('lora', 'matte'),
      testAddOn('vae', 'soft', { family: 'sd1' }),
    ];
    const draw = async (body: object) => {
      const fake = createFakeHost({ addOns });
      const response = await post(createApi(fake), '/sdapi/v1/txt2img', { ...SMALL, ...body });
      const { info } = await jsonOf<{ info: string }>(response);
      const ignored = response.headers.get('X-Ignored-Parameters');
      return { job: fake.jobs[0], info: JSON.parse(info) as Record<string, unknown>, ignored };
    };

    it('leaves LoRAs in the prompt, for the engine to read', async () => {
      const { job, ignored } = await draw({ prompt: 'apple <lora:shiny:0.7>' });
      expect(job?.images[0]?.prompt).toEqual(['apple <lora:shiny:0.7>']);
      expect(ignored).toBeNull();
    });

    it('takes them out where the request disables them', async () => {
      const { job } = await draw({
        prompt: 'apple <lora:shiny:0.7>, red',
        disable_extra_networks: true,
        override_settings: { sd_lora: 'matte' },
      });
      expect(job?.images[0]?.prompt).toEqual(['apple , red']);
      expect(job?.loras).toBeUndefined();
    });

    it('adds the LoRA of the options, unless the prompt has it', async () => {
      const options = { sd_lora: 'matte', extra_networks_default_multiplier: 0.6 };
      const added = await draw({ prompt: 'apple <lora:shiny:1>', override_settings: options });
      expect(added.job?.loras).toEqual([{ id: 'matte', strength: 0.6 }]);
      const named = await draw({ prompt: 'apple <lora:matte:1>', override_settings: options });
      expect(named.job?.loras).toBeUndefined();
      expect(named.ignored).toBeNull();
    });

    it('asks for whole timesteps where the options do', async () => {
      const { job } = await draw({ override_settings: { enable_quantization: true } });
      expect(job?.sampler).toMatchObject({ options: { quantize: true } });
    });

    it('draws with another VAE and says so', async () => {
      const { job, info } = await draw({ override_settings: { sd_vae: 'soft.safetensors' } });
      expect(job?.vae).toBe('soft');
      expect(info).toMatchObject({ sd_vae_name: 'soft.safetensors', sd_vae_hash: 'fedcba9876' });
      for (const sd_vae of ['Automatic', 'None']) {
        const own = await draw({ override_settings: { sd_vae } });
        expect(own.job?.vae).toBeUndefined();
        expect(own.ignored).toBeNull();
      }
    });
  });

  it.each([
    [{ enable_hr: true }, 'enable_hr'],
    [{ restore_faces: true }, 'face restoration'],
    [{ tiling: true }, 'tiling'],
    [{ override_settings: { token_merging_ratio: 0.5 } }, 'token_merging_ratio'],
    [{ refiner_checkpoint: 'xl' }, 'refiner'],
    [{ alwayson_scripts: { refiner: { args: [true, 'xl', 0.8] } } }, 'refiner'],
  ])('refuses %j before any work', async (body, words) => {
    const { response, answer, job } = await txt2img({ ...SMALL, ...body });
    expect(response.status).toBe(422);
    expect(answer).toEqual({
      error: 'HTTPException',
      detail: expect.stringContaining(words) as string,
      body: '',
      errors: '',
    });
    expect(job).toBeUndefined();
  });

  it('refuses scripts in the words of the original', async () => {
    const selected = await txt2img({ ...SMALL, script_name: 'X/Y/Z plot' });
    expect(selected.response.status).toBe(422);
    expect(selected.answer.detail).toBe("Script 'X/Y/Z plot' not found");
    const always = await txt2img({ ...SMALL, alwayson_scripts: { ADetailer: { args: [] } } });
    expect(always.answer.detail).toBe('always on script ADetailer not found');
  });
});

describe('validation', () => {
  it.each([
    [
      '{"steps":"many"}',
      { loc: ['body', 'steps'], msg: 'value is not a valid integer', type: 'type_error.integer' },
    ],
    [
      '{"cfg_scale":[]}',
      { loc: ['body', 'cfg_scale'], msg: 'value is not a valid float', type: 'type_error.float' },
    ],
    [
      '{"tiling":7}',
      { loc: ['body', 'tiling'], msg: 'value could not be parsed to a boolean', type: 'type_error.bool' },
    ],
    ['{"prompt":{}}', { loc: ['body', 'prompt'], msg: 'str type expected', type: 'type_error.str' }],
    [
      '{"styles":"x"}',
      { loc: ['body', 'styles'], msg: 'value is not a valid list', type: 'type_error.list' },
    ],
    ['{"styles":[{}]}', { loc: ['body', 'styles', 0], msg: 'str type expected', type: 'type_error.str' }],
    [
      '{"override_settings":3}',
      { loc: ['body', 'override_settings'], msg: 'value is not a valid dict', type: 'type_error.dict' },
    ],
    ['[]', { loc: ['body'], msg: 'value is not a valid dict', type: 'type_error.dict' }],
    ['', { loc: ['body'], msg: 'field required', type: 'value_error.missing' }],
    [
      '{"prompt": "x",}',
      {
        loc: ['body', 15],
        msg: 'Expecting property name enclosed in double quotes: line 1 column 16 (char 15)',
        type: 'value_error.jsondecode',
        ctx: {
          msg: 'Expecting property name enclosed in double quotes',
          doc: '{"prompt": "x",}',
          pos: 15,
          lineno: 1,
          colno: 16,
        },
      },
    ],
  ])('answers 422 for %s', async (body, detail) => {
    const response = await createApi(createFakeHost()).request('/sdapi/v1/txt2img', { method: 'POST', body });
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ detail: [detail] });
  });

  it('reads values as pydantic 1 does', async () => {
    const { response, job } = await txt2img({
      width: '64',
      height: 64.9,
      steps: '2',
      cfg_scale: '7.5',
      send_images: 'off',
      prompt: 12,
      seed: '42',
      sampler_name: null,
    });
    expect(response.status).toBe(200);
    expect(job).toMatchObject({ width: 64, height: 64, steps: 2, guidanceScale: 7.5 });
    expect(job.images[0]).toMatchObject({ prompt: ['12'], seed: 42n });
  });

  it('takes a body without a type for JSON, one of another type not', async () => {
    const api = createApi(createFakeHost());
    const body = new TextEncoder().encode(JSON.stringify(SMALL));
    expect((await api.request('/sdapi/v1/txt2img', { method: 'POST', body })).status).toBe(200);
    const headers = { 'Content-Type': 'text/plain' };
    const typed = await api.request('/sdapi/v1/txt2img', { method: 'POST', body, headers });
    expect(typed.status).toBe(422);
  });
});

describe('while a job runs', () => {
  it('tells its progress and ends it early with what there is', async () => {
    const api = createApi(createFakeHost({ stepMs: 5 }));
    const drawing = post(api, '/sdapi/v1/txt2img', { ...SMALL, n_iter: 4, steps: 40, force_task_id: 'mine' });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(1);
    const progress = await progressOf(api);
    expect(progress).toMatchObject({
      state: { job: 'Batch 1 out of 4', job_count: 4, job_no: 0, sampling_steps: 40, skipped: false },
      textinfo: null,
    });
    expect(progress.progress).toBeGreaterThan(0.01);
    expect(progress.progress).toBeLessThan(0.3);
    expect(pixelsOf(progress.current_image).width).toBe(8);
    const quiet = await jsonOf<Progress>(api.request('/sdapi/v1/progress?skip_current_image=true'));
    expect(quiet.current_image).toBeNull();
    const task = await jsonOf<{ live_preview: string }>(post(api, '/internal/progress', { id_task: 'mine' }));
    expect(task).toMatchObject({ active: true, queued: false, completed: false });
    expect(task.live_preview).toMatch(/^data:image\/png;base64,/);

    const interrupted = await post(api, '/sdapi/v1/interrupt');
    expect(await interrupted.json()).toEqual({});
    const answer = await jsonOf<Txt2imgAnswer>(drawing);
    expect(answer.images.length).toBeGreaterThan(0);
    expect(answer.images.length).toBeLessThan(4);
    expect((await progressOf(api)).state.job_count).toBe(0);
  });

  it('skips a batch', async () => {
    const api = createApi(createFakeHost({ stepMs: 5 }));
    const drawing = post(api, '/sdapi/v1/txt2img', { ...SMALL, n_iter: 2, steps: 100 });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(1);
    expect(await (await post(api, '/sdapi/v1/skip')).json()).toBeNull();
    await expect.poll(async () => (await progressOf(api)).state.job_no).toBe(1);
    await post(api, '/sdapi/v1/skip');
    expect((await jsonOf<Txt2imgAnswer>(drawing)).images).toHaveLength(2);
  });

  it('is idle otherwise', async () => {
    const response = await createApi(createFakeHost()).request('/sdapi/v1/progress');
    expect(await response.json()).toMatchObject({
      progress: 0,
      eta_relative: 0,
      current_image: null,
      state: { job: '', job_count: 0 },
    });
  });
});

describe('options', () => {
  it('lists every option of a stock install', async () => {
    const options = await jsonOf<object>(createApi(createFakeHost()).request('/sdapi/v1/options'));
    expect(Object.keys(options)).toHaveLength(311);
    expect(options).toMatchObject({
      sd_model_checkpoint: 'emoji-mini.safetensors [0123456789]',
      samples_format: 'png',
      jpeg_quality: 80,
      randn_source: 'GPU',
      CLIP_stop_at_last_layers: 1,
      quicksettings_list: ['sd_model_checkpoint'],
    });
  });

  it('keeps changes, reads numbers sent as text, and names what it does not know', async () => {
    const api = createApi(createFakeHost());
    const response = await post(api, '/sdapi/v1/options/', {
      CLIP_stop_at_last_layers: '2',
      live_previews_enable: 0,
      outdir_samples: '/etc',
      forge_preset: 'sd',
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toBeNull();
    expect(response.headers.get('X-Ignored-Parameters')).toBe('outdir_samples, forge_preset');
    const options = await jsonOf<object>(api.request('/sdapi/v1/options'));
    expect(options).toMatchObject({
      CLIP_stop_at_last_layers: 2,
      live_previews_enable: false,
      outdir_samples: '',
    });
  });

  it('selects a model by title, name or hash, and refuses unknown ones', async () => {
    const api = createApi(createFakeHost());
    for (const name of ['emoji-mini.safetensors [0123456789]', 'emoji-mini', '0123456789']) {
      expect((await post(api, '/sdapi/v1/options', { sd_model_checkpoint: name })).status).toBe(200);
    }
    const response = await post(api, '/sdapi/v1/options', { sd_model_checkpoint: 'dreams' });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({
      error: 'RuntimeError',
      detail: '',
      body: '',
      errors: "model 'dreams' not found",
    });
  });
});

describe('lists', () => {
  it.each([
    ['samplers', 20, { name: 'DPM++ 2M', aliases: ['k_dpmpp_2m'], options: { scheduler: 'karras' } }],
    [
      'schedulers',
      12,
      { name: 'automatic', label: 'Automatic', aliases: null, default_rho: -1, need_inner_model: false },
    ],
    ['upscalers', 3, { name: 'None', model_name: null, model_path: null, model_url: null, scale: 4 }],
    ['latent-upscale-modes', 6, { name: 'Latent' }],
    [
      'sd-models',
      1,
      {
        title: 'emoji-mini.safetensors [0123456789]',
        model_name: 'emoji-mini',
        hash: '0123456789',
        sha256: expect.stringMatching(/^[\da-f]{64}$/) as string,
        filename: 'models/Stable-diffusion/emoji-mini.safetensors',
        config: null,
      },
    ],
    ['sd-vae', 0, undefined],
    ['hypernetworks', 0, undefined],
    ['face-restorers', 0, undefined],
    ['realesrgan-models', 0, undefined],
    ['loras', 0, undefined],
    ['extensions', 0, undefined],
    ['script-info', 7, { name: 'comments', is_alwayson: true, is_img2img: false, args: [] }],
  ])('%s', async (path, length, first) => {
    const list = await jsonOf<unknown[]>(createApi(createFakeHost()).request(`/sdapi/v1/${path}`));
    expect(list).toHaveLength(length);
    expect(list[0]).toEqual(first);
  });

  it('tells of installed add-ons', async () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('vae', 'soft'),
      testAddOn('embedding', 'bad-hands', { family: 'emoji-mini', sizeBytes: 3 * 256 * 4 + 200 }),
      testAddOn('embedding', 'large', { family: 'sdxl', sizeBytes: 2048 * 4 + 200 }),
      testAddOn('lora', 'on-its-way', { installed: false }),
      testAddOn('upscaler', '4x-sharp'),
    ];
    const api = createApi(createFakeHost({ addOns }));
    const get = (path: string) => jsonOf(api.request(`/sdapi/v1/${path}`));
    expect(await get('loras')).toEqual([
      { name: 'shiny', alias: 'shiny', path: 'models/Lora/shiny.safetensors', metadata: {} },
    ]);
    expect(await get('sd-vae')).toEqual([
      { model_name: 'soft.safetensors', filename: 'models/VAE/soft.safetensors' },
    ]);
    const path = 'models/ESRGAN/4x-sharp.safetensors';
    expect(await get('upscalers')).toEqual(
      ['None', 'Lanczos', 'Nearest', '4x-sharp'].map((name) => ({
        name,
        model_name: null,
        model_path: name === '4x-sharp' ? path : null,
        model_url: null,
        scale: 4,
      })),
    );
    expect(await get('realesrgan-models')).toEqual([{ name: '4x-sharp', path, scale: 4 }]);
    const unknown = { step: null, sd_checkpoint: null, sd_checkpoint_name: null };
    expect(await get('embeddings')).toEqual({
      loaded: { 'bad-hands': { ...unknown, shape: 256, vectors: 3 } },
      skipped: { large: { ...unknown, shape: 2048, vectors: 1 } },
    });
  });

  it('names a checkpoint without its hash while that is unknown', async () => {
    const api = createApi(createFakeHost({ models: [{ ...TEST_MODEL, sha256: '' }] }));
    const [model] = await jsonOf<{ title: string }[]>(api.request('/sdapi/v1/sd-models'));
    expect(model?.title).toBe('emoji-mini.safetensors');
  });

  it('has 126 flags, 277 styles and the rest', async () => {
    const api = createApi(createFakeHost());
    const get = (path: string) => jsonOf(api.request(path));
    expect(Object.keys((await get('/sdapi/v1/cmd-flags')) as object)).toHaveLength(126);
    expect(await get('/sdapi/v1/prompt-styles')).toHaveLength(277);
    expect(await get('/sdapi/v1/embeddings')).toEqual({ loaded: {}, skipped: {} });
    expect(await get('/sdapi/v1/memory')).toMatchObject({ cuda: { error: 'unavailable' } });
    expect(await get('/internal/ping')).toEqual({});
    expect(await get('/internal/pending-tasks')).toEqual({ size: 0, tasks: [] });
  });

  it.each([
    ['/sdapi/v1/refresh-checkpoints', null],
    ['/sdapi/v1/refresh-loras', null],
    ['/sdapi/v1/unload-checkpoint', {}],
    ['/sdapi/v1/interrupt', {}],
    ['/sdapi/v1/skip', null],
  ])('POST %s answers %j', async (path, answer) => {
    const response = await post(createApi(createFakeHost()), path);
    expect([response.status, await response.json()]).toEqual([200, answer]);
  });

  it.each(['/controlnet/detect', '/sdapi/v1/nothing', '/sd_extra_networks/thumb?filename=x'])(
    'GET %s is not there',
    async (path) => {
      const response = await createApi(createFakeHost()).request(path);
      expect([response.status, await response.json()]).toEqual([404, { detail: 'Not Found' }]);
    },
  );

  it('refuses to stop the server', async () => {
    expect((await post(createApi(createFakeHost()), '/sdapi/v1/server-stop')).status).toBe(404);
  });
});

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
      upscaler: '4x-sharp',
      second: { upscaler: 'Lanczos', visibility: 0.5 },
      size: { factor: 3 },
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
      upscaler: 'Nearest',
      size: { width: 640, height: 480, crop: false },
      output: { format: 'webp', texts: false },
    });
    expect(job).not.toHaveProperty('second');
  });

  it('leaves images as they are by default, whatever the second upscaler', async () => {
    const { answer, job } = await extras('extra-single-image', { image, upscaler_2: 'nowhere' });
    expect(answer['html_info']).toBe('<p></p>');
    expect(job).toMatchObject({ upscaler: 'None', size: { factor: 2 } });
  });

  it.each([
    [{ image: '' }, 500, { error: 'HTTPException', detail: 'Invalid encoded image', errors: '' }],
    [
      { image: 'bm8gcGljdHVyZQ==' },
      500,
      { error: 'HTTPException', detail: 'Invalid encoded image', errors: '' },
    ],
    [
      { image: 'https://example.com/a.png' },
      500,
      { error: 'HTTPException', detail: 'Requests not allowed', errors: '' },
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
    [
      { image, gfpgan_visibility: 0.5 },
      422,
      {
        error: 'HTTPException',
        detail: "'gfpgan_visibility' needs face restoration, which is not available here yet.",
        errors: '',
      },
    ],
    [
      { image, codeformer_visibility: 1, codeformer_weight: 0.5 },
      422,
      {
        error: 'HTTPException',
        detail: "'codeformer_visibility' needs face restoration, which is not available here yet.",
        errors: '',
      },
    ],
  ])('%j is refused', async (body, status, answer) => {
    const { response, answer: told, job } = await extras('extra-single-image', body);
    expect([response.status, told, job]).toEqual([status, { ...answer, body: '' }, undefined]);
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

  it('is told of by /progress', async () => {
    const api = createApi(createFakeHost({ addOns, stepMs: 200 }));
    const imageList = [
      { data: image, name: 'a.png' },
      { data: image, name: 'b.png' },
    ];
    const answer = post(api, '/sdapi/v1/extra-batch-images', { imageList, upscaler_1: 'Lanczos' });
    await vi.waitFor(async () => {
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

describe('what needs images', () => {
  it.each([
    ['img2img', {}, 404, 'Init image not found'],
    ['img2img', { init_images: ['x'] }, 422, expect.stringContaining('img2img needs') as string],
    ['interrogate', { image: null }, 404, 'Image not found'],
    ['interrogate', { image: 'x', model: 'blip9' }, 404, 'Model not found'],
  ])('%s %j is refused', async (path, body, status, detail) => {
    const response = await post(createApi(createFakeHost()), `/sdapi/v1/${path}`, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: 'HTTPException', detail, body: '', errors: '' });
  });
});
