import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { readPngText } from '#codecs/png-text.ts';
import { bytesOf, generate, type ImageResult, type Json } from '../../../../support/fooocus.ts';
import { OWN_GRAPHS_MODEL, createFakeHost } from '../../../../support/fake-host.ts';

describe('metadata', () => {
  async function textsOf(request: Json): Promise<Record<string, string>> {
    const api = createApi(createFakeHost());
    const [result] = await generate(api, request);
    return readPngText(await bytesOf(api.request(result?.url ?? '')));
  }

  it("is Fooocus's JSON by default, as Python writes it", async () => {
    const texts = await textsOf({ prompt: 'a red apple\nin Zürich', image_seed: 7 });
    expect(texts).toEqual({
      fooocus_scheme: 'fooocus',
      parameters:
        '{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "emoji-mini", "base_model_hash": "0123456789", ' +
        '"clip_skip": 2, "full_negative_prompt": ["blurry"], "full_prompt": ["a red apple", "in Z\\u00fcrich"], ' +
        '"guidance_scale": 4.0, "loras": [], "metadata_scheme": "fooocus", "negative_prompt": "blurry", ' +
        '"performance": "Speed", "prompt": "a red apple\\nin Z\\u00fcrich", "prompt_expansion": "", ' +
        '"refiner_model": "None", "refiner_switch": 0.5, "resolution": "(256, 128)", ' +
        '"sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "7", "sharpness": 2.0, "steps": 30, ' +
        '"styles": "[]", "vae": "Default (model)", "version": "Fooocus v2.5.3"}',
    });
  });

  it('lists the styles as Python does', async () => {
    const { parameters = '{}' } = await textsOf({
      style_selections: ['Fooocus Sharp', 'Fooocus Masterpiece'],
    });
    expect((JSON.parse(parameters) as Json)['styles']).toBe("['Fooocus Sharp', 'Fooocus Masterpiece']");
  });

  it.each(['a1111', 'a111'])('is an infotext with the scheme %s', async (meta_scheme) => {
    expect(await textsOf({ meta_scheme })).toEqual({
      fooocus_scheme: 'a1111',
      parameters:
        'a red apple\nNegative prompt: blurry\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 1234, Size: 256x128, ' +
        'CFG scale: 4.0, Sharpness: 2.0, ADM Guidance: "(1.5, 0.8, 0.3)", Model: emoji-mini, ' +
        'Model hash: 0123456789, Performance: Speed, Scheduler: karras, VAE: Default (model), ' +
        'Raw prompt: a red apple, Raw negative prompt: blurry, Clip skip: 2, Version: Fooocus v2.5.3',
    });
  });

  it('tells of FreeU, which models of the engine’s own graphs are written with', async () => {
    const host = createFakeHost({ models: [OWN_GRAPHS_MODEL] });
    const api = createApi(host);
    const advanced_params = { freeu_enabled: true, freeu_b1: 1.3, freeu_s2: 0.2 };
    const [json] = await generate(api, { advanced_params });
    const [infotext] = await generate(api, { advanced_params, meta_scheme: 'a1111' });
    expect(host.jobs[0]).toMatchObject({
      passes: [{ graph: { freeU: { b1: 1.3, b2: 1.02, s1: 0.99, s2: 0.2, version: 2 } } }],
    });
    const parametersOf = async (result: ImageResult | undefined) => {
      const texts = await readPngText(await bytesOf(api.request(result?.url ?? '')));
      return texts['parameters'];
    };
    expect(await parametersOf(json)).toContain('"freeu": "(1.3, 1.02, 0.99, 0.2)"');
    expect(await parametersOf(infotext)).toContain('FreeU: "(1.3, 1.02, 0.99, 0.2)"');
  });

  it('is left out without save_meta, and from files named jpg', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    await generate(api, { save_meta: false });
    await generate(api, { save_extension: 'jpg' });
    await generate(api, { save_extension: 'jpeg' });
    expect(host.jobs.map(({ output }) => output.texts?.length)).toEqual([undefined, undefined, 1]);
  });
});
