import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { noteNoEffect } from '#protocol/notes.ts';
import { SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf } from '../../../../support/http.ts';

const addOns = [testAddOn('lora', 'shiny'), testAddOn('lora', 'matte')];
const generate = (body: object) => txt2img({ ...SMALL, ...body }, { addOns });

describe('LoRAs of txt2img', () => {
  it('stay in the prompt, for the engine to read', async () => {
    const { job, ignored } = await generate({ prompt: 'apple <lora:shiny:0.7>' });
    expect(job?.images[0]?.prompt).toEqual(['apple <lora:shiny:0.7>']);
    expect(ignored).toEqual([]);
  });

  it('are taken out where the request disables them', async () => {
    const { job } = await generate({
      prompt: 'apple <lora:shiny:0.7>, red',
      disable_extra_networks: true,
      override_settings: { sd_lora: 'matte' },
    });
    expect(job?.images[0]?.prompt).toEqual(['apple , red']);
    expect(job?.loras).toBeUndefined();
  });

  it('come from the options too, unless the prompt has them', async () => {
    const options = { sd_lora: 'matte', extra_networks_default_multiplier: 0.6 };
    const added = await generate({ prompt: 'apple <lora:shiny:1>', override_settings: options });
    expect(added.job?.loras).toEqual([{ id: 'matte', strength: 0.6 }]);
    const named = await generate({ prompt: 'apple <lora:matte:1>', override_settings: options });
    expect(named.job?.loras).toBeUndefined();
    expect(named.ignored).toEqual([]);
  });

  it('that the engine finds not to fit are named in the headers', async () => {
    const notes = [noteNoEffect({ kind: 'lora', name: 'shiny' }, 'it is for SDXL models.')];
    const { response, ignored } = await txt2img(
      { ...SMALL, prompt: 'apple <lora:shiny:1>' },
      { addOns, notes },
    );
    expect(ignored).toEqual(['prompt.<lora:shiny>']);
    const header = response.headers.get('X-Vitrine-Notes')?.split(', ').map(decodeURIComponent);
    expect(header).toEqual(notes);
  });
});

describe('GET /sdapi/v1/loras', () => {
  it('gives the alias and the metadata of the file, JSON in it parsed', async () => {
    const [shiny] = addOns;
    const metadata = {
      ss_output_name: 'shine v2',
      ss_tag_frequency: '{"1_shiny": {"gold": 3}}',
      ss_sd_model_name: 'v1-5.safetensors',
      ssmd_cover_images: '["…"]',
      note: '{not JSON',
    };
    const known = shiny && { ...shiny, pack: { ...shiny.pack, metadata } };
    const api = createApi(createFakeHost({ addOns: known ? [known] : [] }));
    const [answer] = await jsonOf<Record<string, unknown>[]>(api.request('/sdapi/v1/loras'));
    expect(answer).toEqual({
      name: 'shiny',
      alias: 'shine v2',
      path: 'models/Lora/shiny.safetensors',
      metadata: {
        ss_sd_model_name: 'v1-5.safetensors',
        ss_tag_frequency: { '1_shiny': { gold: 3 } },
        ss_output_name: 'shine v2',
        note: '{not JSON',
      },
    });
    expect(Object.keys(answer?.['metadata'] ?? {})[0]).toBe('ss_sd_model_name');
    const { ignored } = await txt2img(
      { ...SMALL, prompt: 'apple <lora:shine v2:1>' },
      { addOns: known ? [known] : [] },
    );
    expect(ignored).toEqual([]);
  });
});
