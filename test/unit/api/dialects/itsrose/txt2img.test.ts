import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { noteNoEffect } from '#protocol/notes.ts';
import { colourOf, createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { request, type Answer } from './request.ts';

describe('POST /sdapi/txt2img', () => {
  it('answers with the URL of an image of the size and seed asked for', async () => {
    const api = createApi(createFakeHost());
    const response = await post(api, '/sdapi/txt2img', request);
    expect(response.status).toBe(200);
    const answer = await jsonOf<Answer>(response);
    expect(answer).toMatchObject({
      status: true,
      message: 'success',
      result: {
        generation_time: expect.stringMatching(/^\d+\.\d\d$/) as string,
        images: [
          expect.stringMatching(/^http:\/\/localhost\/files\/\d{4}-\d\d-\d\d\/[\w-]+-0\.png$/),
        ] as string[],
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
    const file = await api.request(answer.result.images[0] ?? '');
    expect(file.headers.get('Content-Type')).toBe('image/png');
    const image = decodePng(new Uint8Array(await file.arrayBuffer()));
    expect([image.width, image.height]).toEqual([256, 128]);
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(1234n));
  });

  it('maps the request to a job of diffusers', async () => {
    const fake = createFakeHost();
    await post(createApi(fake), '/sdapi/txt2img', {
      ...request,
      enhance_prompt: 'yes',
      negative_prompt: 'blue',
    });
    expect(fake.jobs[0]).toMatchObject({
      passes: [
        {
          steps: 5,
          guidanceScale: 7,
          sampler: {
            family: 'diffusers',
            scheduler: 'DPMSolverMultistepScheduler',
            config: { use_karras_sigmas: true, algorithm_type: 'sde-dpmsolver++' },
          },
        },
      ],
      noise: { source: 'torch-cpu' },
      promptOptions: { syntax: 'plain' },
      images: [{ prompt: [expect.stringMatching(/^a red apple, .+/) as string], negativePrompt: ['blue'] }],
    });
  });

  it('has an effect for each switch', async () => {
    const fake = createFakeHost();
    const switches = {
      upscale: 'yes',
      highres_fix: 'yes',
      panorama: 'yes',
      self_attention: 'yes',
      tomesd: 'yes',
    };
    const response = await post(createApi(fake), '/sdapi/txt2img', { ...request, ...switches });
    const both = { panorama: { circular: false }, selfAttentionGuidance: { scale: 0.75 } };
    expect(fake.jobs[0]).toMatchObject({
      passes: [
        { size: { width: 256, height: 128 }, strength: 1, ...both },
        { size: { width: 256, height: 128 }, strength: 0.55, ...both },
      ],
      post: [
        { kind: 'upscale', upscaler: 'Lanczos', size: { factor: 2 } },
        { kind: 'safety', action: 'text' },
      ],
    });
    const { result } = await jsonOf<Answer>(response);
    expect(result.meta).toMatchObject({ width: 512, height: 256, ...switches });
    // This model's graphs are finished.
    expect(response.headers.get('X-Ignored-Parameters')).toBe('tomesd');
  });

  it('reads numbers sent as text, and null as absent', async () => {
    const fake = createFakeHost();
    const body = {
      ...request,
      width: '64',
      num_inference_steps: '7',
      guidance_scale: null,
      seed: null,
      samples: null,
    };
    const { result } = await jsonOf<Answer>(post(createApi(fake), '/sdapi/txt2img', body));
    expect(fake.jobs[0]?.passes).toMatchObject([{ size: { width: 64 }, steps: 7, guidanceScale: 7.5 }]);
    expect(result.meta['seed']).toBe(String(fake.jobs[0]?.images[0]?.seed));
  });

  it.each([
    [{ prompt: undefined }, "must have required property 'prompt'"],
    [{ model_id: undefined }, "must have required property 'model_id'"],
    [{ scheduler: undefined }, "must have required property 'scheduler'"],
    [{ width: 2000 }, 'must be <= 1024'],
    [{ num_inference_steps: 4 }, 'must be >= 5'],
    [{ samples: 2 }, 'must be <= 1'],
    [{ safety_checker_type: 'none' }, 'must be equal to one of the allowed values'],
    [{ prompt: {} }, 'must be string'],
    [{ lora_model: 'shiny' }, 'LoRA not found: shiny'],
    [{ vae: 'soft' }, 'VAE not found: soft'],
    [{ embeddings_model: 'bad-hands' }, 'Embedding not found: bad-hands'],
    [{ scheduler: 'Nonsense' }, 'scheduler must be equal to one of the allowed values'],
    [{ model_id: 'dreams' }, "model 'dreams' not found"],
  ])('answers 400 for %j', async (change, message) => {
    const fake = createFakeHost();
    const response = await post(createApi(fake), '/sdapi/txt2img', { ...request, ...change });
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({
      status: false,
      message: expect.stringContaining(message) as string,
    });
    expect(fake.jobs).toEqual([]);
  });
});

it('takes installed add-ons, and repeats the names the client used', async () => {
  const addOns = [testAddOn('lora', 'shiny'), testAddOn('embedding', 'bad-hands'), testAddOn('vae', 'soft')];
  const fake = createFakeHost({ addOns });
  const asked = {
    lora_model: 'shiny',
    lora_strength: '0.4',
    embeddings_model: 'bad-hands',
    vae: 'soft.safetensors',
  };
  const { result } = await jsonOf<Answer>(post(createApi(fake), '/sdapi/txt2img', { ...request, ...asked }));
  expect(fake.jobs[0]).toMatchObject({
    loras: [{ id: 'shiny', strength: 0.4 }],
    passes: [{ vae: 'soft' }],
    promptOptions: { embeddings: ['bad-hands'] },
  });
  expect(result.meta).toMatchObject(asked);
});

it('names LoRAs that do not fit, and sends the engine’s notes', async () => {
  const note = noteNoEffect({ kind: 'lora', name: 'shiny' }, 'it is for SDXL.');
  const fake = createFakeHost({ addOns: [testAddOn('lora', 'shiny')], notes: [note] });
  const response = await post(createApi(fake), '/sdapi/txt2img', { ...request, lora_model: 'shiny' });
  expect(response.headers.get('X-Ignored-Parameters')).toBe('lora_model.shiny');
  expect(decodeURIComponent(response.headers.get('X-Vitrine-Notes') ?? '')).toBe(note);
});
