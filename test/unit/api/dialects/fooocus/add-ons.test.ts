import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { readPngText } from '#codecs/png-text.ts';
import { noteNoEffect } from '#protocol/notes.ts';
import {
  bytesOf,
  generate,
  ignoredBy,
  type Json,
  postExample,
  untilFinished,
} from '../../../../support/fooocus.ts';
import { createFakeHost, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf } from '../../../../support/http.ts';

describe('with add-ons', () => {
  const addOns = [
    testAddOn('lora', 'shiny'),
    testAddOn('lora', 'sdxl_lightning_4step_lora'),
    testAddOn('lora', 'sd_xl_offset_example-lora_1.0', { family: 'sdxl' }),
    testAddOn('lora', 'on-its-way', { installed: false }),
    testAddOn('vae', 'soft'),
  ];

  it('generates with the LoRAs of the list and of the prompt, and with the VAE', async () => {
    const host = createFakeHost({ addOns });
    const response = await postExample(createApi(host), {
      prompt: 'an apple, <lora:sdxl_lightning_4step_lora:0.3>',
      loras: [
        { model_name: 'None', weight: 1 },
        { model_name: 'shiny.safetensors', weight: 0.5 },
        { model_name: 'on-its-way.safetensors', weight: 0.5 },
      ],
      advanced_params: { vae_name: 'soft.safetensors' },
    });
    expect(host.jobs[0]).toMatchObject({
      loras: [
        { id: 'shiny', strength: 0.5 },
        { id: 'sdxl_lightning_4step_lora', strength: 0.3 },
      ],
      passes: [{ vae: 'soft' }],
      images: [{ prompt: ['an apple'] }],
    });
    expect(ignoredBy(response)).toEqual(['loras:on-its-way.safetensors']);
  });

  it("adds a fast mode's LoRA with its weight, once", async () => {
    const host = createFakeHost({ addOns });
    const response = await postExample(createApi(host), {
      prompt: 'an apple, <lora:sdxl_lightning_4step_lora:0.3>',
      loras: [{ model_name: 'shiny', weight: -1 }],
      performance_selection: 'Lightning',
    });
    expect(host.jobs[0]?.loras).toEqual([
      { id: 'shiny', strength: -1 },
      { id: 'sdxl_lightning_4step_lora', strength: 1 },
    ]);
    expect(ignoredBy(response)).toEqual(['prompt:lora:sdxl_lightning_4step_lora']);
  });

  it("uses the default preset's LoRA with models of its family only", async () => {
    const loras = undefined;
    const host = createFakeHost({ addOns });
    const response = await postExample(createApi(host), { loras });
    expect(host.jobs[0]?.loras).toBeUndefined();
    expect(ignoredBy(response)).toEqual([]);
    const pack = { ...TEST_MODEL.pack, family: 'sdxl' } as const;
    const large = createFakeHost({ addOns, models: [{ ...TEST_MODEL, pack }] });
    await postExample(createApi(large), { loras });
    expect(large.jobs[0]?.loras).toEqual([{ id: 'sd_xl_offset_example-lora_1.0', strength: 0.1 }]);
  });

  it('lists the LoRAs that are installed', async () => {
    const api = createApi(createFakeHost({ addOns }));
    expect(await jsonOf<Json>(api.request('/v1/engines/all-models'))).toEqual({
      model_filenames: ['emoji-mini.safetensors'],
      lora_filenames: [
        'shiny.safetensors',
        'sdxl_lightning_4step_lora.safetensors',
        'sd_xl_offset_example-lora_1.0.safetensors',
      ],
    });
  });

  it('writes them into the image in both schemes', async () => {
    const asked = {
      loras: [{ model_name: 'shiny', weight: 1 }],
      advanced_params: { vae_name: 'soft' },
    };
    const textOf = async (request: Json) => {
      const api = createApi(createFakeHost({ addOns }));
      const [result] = await generate(api, { ...asked, ...request });
      const texts = await readPngText(await bytesOf(api.request(result?.url ?? '')));
      return texts['parameters'];
    };
    const json = await textOf({});
    expect(json).toContain('"lora_combined_1": "shiny : 1.0", "loras": [["shiny", 1.0, "fedcba9876"]]');
    expect(json).toContain('"vae": "soft"');
    const infotext = await textOf({ meta_scheme: 'a1111' });
    expect(infotext).toContain('VAE: soft,');
    expect(infotext).toContain(
      'Lora hashes: "shiny: fedcba9876", Lora weights: "shiny: 1.0", Version: Fooocus v2.5.3',
    );
  });

  it('that the engine finds not to fit are named in the headers, also of a job that is asked for', async () => {
    const notes = [noteNoEffect({ kind: 'lora', name: 'shiny' }, 'it is for SDXL models.')];
    const api = createApi(createFakeHost({ addOns, notes }));
    const changes = { loras: [{ model_name: 'shiny', weight: 1 }] };
    const answer = await postExample(api, changes);
    const { job_id } = await jsonOf<Json>(postExample(api, { ...changes, async_process: true }));
    await untilFinished(api, job_id);
    const asked = await api.request(`/v1/generation/query-job?job_id=${String(job_id)}`);
    for (const response of [answer, asked]) {
      expect(ignoredBy(response)).toEqual(['loras:shiny']);
      const header = response.headers.get('X-Vitrine-Notes')?.split(', ').map(decodeURIComponent);
      expect(header).toEqual(notes);
    }
  });
});
