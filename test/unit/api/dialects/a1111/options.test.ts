import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('options', () => {
  it('lists every option of a stock install', async () => {
    const options = await jsonOf<object>(createApi(createFakeHost()).request('/sdapi/v1/options'));
    expect(Object.keys(options)).toHaveLength(312);
    expect(options).toMatchObject({
      sd_model_checkpoint: 'emoji-mini.safetensors [0123456789]',
      samples_format: 'png',
      jpeg_quality: 80,
      randn_source: 'GPU',
      CLIP_stop_at_last_layers: 1,
      quicksettings_list: ['sd_model_checkpoint'],
      enable_prompt_comments: true,
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

  it('refuses values of another type', async () => {
    const api = createApi(createFakeHost());
    const response = await post(api, '/sdapi/v1/options', { CLIP_stop_at_last_layers: 'two' });
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({
      detail: [
        {
          loc: ['body', 'CLIP_stop_at_last_layers'],
          msg: 'value is not a valid float',
          type: 'type_error.float',
        },
      ],
    });
    const override = { override_settings: { CLIP_stop_at_last_layers: 'two' } };
    const { status, answer } = await txt2img({ ...SMALL, ...override });
    expect([status, answer.errors]).toEqual([500, `option 'CLIP_stop_at_last_layers' cannot be "two"`]);
  });

  it('keep comments in both prompts where enable_prompt_comments is off', async () => {
    const prompts = { prompt: 'apple # ripe', negative_prompt: 'blur # much' };
    const stripped = await txt2img({ ...SMALL, ...prompts });
    expect([stripped.info.prompt, stripped.info.negative_prompt]).toEqual(['apple \n', 'blur \n']);
    const override_settings = { enable_prompt_comments: false };
    const { info, job, ignored } = await txt2img({ ...SMALL, ...prompts, override_settings });
    expect(job?.images).toMatchObject([{ prompt: ['apple # ripe'], negativePrompt: ['blur # much'] }]);
    expect([info.prompt, info.negative_prompt]).toEqual(['apple # ripe', 'blur # much']);
    expect(info.infotexts[0]).toContain('apple # ripe');
    expect(ignored).toEqual([]);
  });

  it.each([
    ['use_old_emphasis_implementation', true],
    ['use_old_scheduling', true],
    ['sdxl_clip_l_skip', true],
    ['pad_cond_uncond', true],
  ])('%s changes what a prompt means there, not here, and is named', async (name, value) => {
    const { ignored } = await txt2img({ ...SMALL, override_settings: { [name]: value } });
    expect(ignored).toEqual([`override_settings.${name}`]);
  });

  it('that need what is not built are refused, whether changed before or with the request', async () => {
    const { status, answer } = await txt2img({ ...SMALL, override_settings: { sd_hypernetwork: 'new' } });
    expect([status, answer.detail]).toEqual([
      422,
      "'sd_hypernetwork' needs hypernetworks, which is not available here yet.",
    ]);
    const earlier = await txt2img(SMALL, { settings: { sd_hypernetwork: 'old' } });
    expect([earlier.status, earlier.answer.detail]).toEqual([
      422,
      "'sd_hypernetwork' needs hypernetworks, which is not available here yet.",
    ]);
  });
});
