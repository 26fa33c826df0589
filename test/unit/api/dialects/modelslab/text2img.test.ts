import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { noteNoEffect } from '#protocol/notes.ts';
import { colourOf, createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, colourAt, example, post } from './request.ts';

describe('text2img', () => {
  it('generates with installed LoRAs, embeddings and VAE', async () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('lora', 'matte'),
      testAddOn('lora', 'plain'),
      testAddOn('embedding', 'bad-hands'),
      testAddOn('vae', 'soft'),
    ];
    const host = createFakeHost({ addOns });
    const body = {
      ...example,
      lora_model: 'shiny,Matte, plain',
      lora_strength: '0.3,0.9',
      embeddings_model: 'bad-hands',
      vae: 'soft',
    };
    const { meta } = await answerOf(post(createApi(host), 'text2img', body));
    expect(host.jobs[0]).toMatchObject({
      loras: [
        { id: 'shiny', strength: 0.3 },
        { id: 'matte', strength: 0.9 },
        { id: 'plain', strength: 1 },
      ],
      passes: [{ vae: 'soft' }],
      promptOptions: { syntax: 'plain', embeddings: ['bad-hands'] },
    });
    expect(meta).toMatchObject({
      lora: 'shiny,matte,plain',
      lora_strength: '0.3,0.9,1',
      embeddings: 'bad-hands',
      vae: 'soft',
    });
  });

  it('answers with success, the URL of each sample and the meta of the request', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const response = await post(api, 'text2img', { ...example, samples: '2' });
    expect(response.status).toBe(200);
    const answer = await answerOf(response);
    const url = expect.stringMatching(
      /^http:\/\/localhost\/files\/\d{4}-\d\d-\d\d\/[\da-f-]{36}-\d\.png$/,
    ) as string;
    expect(answer).toEqual({
      status: 'success',
      generationTime: expect.any(Number) as number,
      id: expect.any(Number) as number,
      output: [url, url],
      proxy_links: [url, url],
      nsfw_content_detected: false,
      webhook_status: '',
      meta: {
        prompt: 'a red apple',
        model_id: 'emoji-mini',
        negative_prompt: '',
        scheduler: 'UniPCMultistepScheduler',
        safetychecker: 'yes',
        W: 512,
        H: 256,
        guidance_scale: 7.5,
        steps: 30,
        n_samples: 2,
        full_url: 'no',
        upscale: 'no',
        multi_lingual: 'no',
        seed: 1234,
        outdir: 'out',
        file_prefix: expect.stringMatching(/^[\da-f-]{36}$/) as string,
        vae: null,
        lora: null,
        lora_strength: null,
        clip_skip: 1,
        use_karras_sigmas: 'yes',
        algorithm_type: 'none',
        tomesd: 'yes',
        embeddings: null,
        panorama: 'no',
        self_attention: 'no',
        highres_fix: 'no',
      },
    });
    expect(Number.isInteger(answer['id'])).toBe(true);
    const [first = '', second = ''] = answer['output'] as string[];
    expect(await colourAt(api, first)).toEqual(colourOf(1234n));
    expect(await colourAt(api, second)).toEqual(colourOf(1235n));
  });

  it('runs what was asked for', async () => {
    const host = createFakeHost();
    await post(createApi(host), 'text2img', {
      ...example,
      negative_prompt: 'blurry',
      scheduler: 'dpmsolvermultistepscheduler',
      algorithm_type: 'dpmsolver+++',
      use_karras_sigmas: 'yes',
      clip_skip: '2',
      num_inference_steps: 99,
    });
    expect(host.jobs[0]).toMatchObject({
      images: [{ prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1234n }],
      init: { from: 'noise' },
      passes: [
        {
          model: 'emoji-mini',
          size: { width: 512, height: 256 },
          steps: 50,
          strength: 1,
          guidanceScale: 7.5,
          sampler: {
            family: 'diffusers',
            scheduler: 'DPMSolverMultistepScheduler',
            config: { use_karras_sigmas: true, algorithm_type: 'sde-dpmsolver++' },
          },
        },
      ],
      noise: { source: 'torch-cpu' },
      promptOptions: { syntax: 'plain', clipSkip: 2 },
    });
  });

  it('takes numbers and switches as text, as numbers and as booleans, and null for absent', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    await post(api, 'text2img', {
      ...example,
      use_karras_sigmas: false,
      enhance_prompt: true,
      seed: '77',
      scheduler: 'EulerDiscreteScheduler',
    });
    await post(api, 'text2img', {
      key: 'k',
      prompt: 'x',
      width: null,
      height: '',
      seed: null,
      guidance_scale: '3',
    });
    expect(host.jobs[0]).toMatchObject({
      images: [{ seed: 77n }],
      passes: [{ sampler: { scheduler: 'EulerDiscreteScheduler', config: {} } }],
    });
    expect(host.jobs[0]?.images[0]?.prompt[0]).toMatch(/^a red apple, \w+/);
    expect(host.jobs[1]).toMatchObject({
      passes: [{ model: 'emoji-mini', size: { width: 512, height: 512 }, steps: 21, guidanceScale: 3 }],
    });
  });

  it.each([
    ['an installed upscaler', [testAddOn('upscaler', 'sharp')], 'sharp'],
    ['a resizer where none is installed', [], 'Lanczos'],
  ])('doubles the images for upscale with %s', async (_, addOns, upscaler) => {
    const host = createFakeHost({ addOns });
    const body = { ...example, width: 256, height: 256, upscale: 'yes' };
    const { meta } = await answerOf(post(createApi(host), 'text2img', body));
    expect(host.jobs[0]).toMatchObject({
      passes: [{ size: { width: 256, height: 256 } }],
      post: [
        { kind: 'upscale', upscaler, size: { factor: 2 } },
        { kind: 'safety', action: 'text' },
      ],
    });
    expect(meta).toMatchObject({ W: 512, H: 512, upscale: 'yes' });
  });

  it('merges tokens unless told not to, where the graphs are written here', async () => {
    const host = createFakeHost({ models: [OWN_GRAPHS_MODEL] });
    const api = createApi(host);
    const body = { ...example, model_id: 'photo' };
    const response = await post(api, 'text2img', body);
    await post(api, 'text2img', { ...body, tomesd: 'no' });
    expect(host.jobs.map(({ passes: [pass] }) => pass.graph)).toEqual([{ tokenMerging: 0.5 }, undefined]);
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });

  it('makes panoramas, and guides by self-attention', async () => {
    const host = createFakeHost();
    const body = { ...example, width: 1024, panorama: 'yes', self_attention: 'yes' };
    const { meta } = await answerOf(post(createApi(host), 'text2img', body));
    expect(host.jobs[0]?.passes).toMatchObject([
      { panorama: { circular: false }, selfAttentionGuidance: { scale: 0.75 } },
    ]);
    expect(meta).toMatchObject({ panorama: 'yes', self_attention: 'yes', highres_fix: 'no' });
  });

  it.each([
    [1024, 512, { width: 360, height: 176 }],
    [256, 256, { width: 256, height: 256 }],
  ])('goes to %i × %i in two passes with highres_fix', async (width, height, firstSize) => {
    const host = createFakeHost();
    const body = { ...example, width, height, highres_fix: 'yes' };
    const { meta } = await answerOf(post(createApi(host), 'text2img', body));
    expect(host.jobs[0]?.passes).toMatchObject([
      { size: firstSize, strength: 1, steps: 30 },
      { size: { width, height }, strength: 0.55, steps: 30 },
    ]);
    expect(meta).toMatchObject({ W: width, H: height, highres_fix: 'yes' });
  });

  it('says which scheduler runs in place of one that is not made for this', async () => {
    const answer = await answerOf(
      post(createApi(createFakeHost()), 'text2img', { ...example, scheduler: 'KarrasVeScheduler' }),
    );
    expect(answer).toMatchObject({
      tip: expect.stringContaining('HeunDiscreteScheduler ran in its place') as string,
      meta: { scheduler: 'HeunDiscreteScheduler' },
    });
  });

  it('gives base64 as the text of its URLs', async () => {
    const api = createApi(createFakeHost());
    const answer = await answerOf(post(api, 'text2img', { ...example, base64: 'yes' }));
    const [url = ''] = answer['output'] as string[];
    expect(url).toMatch(/\.base64$/);
    const text = await (await api.request(url)).text();
    const image = decodePng(Uint8Array.from(Buffer.from(text, 'base64')));
    expect([image.width, image.height]).toEqual([512, 256]);
  });

  it.each([
    '/api/v1/enterprise/images',
    '/api/v1/enterprise/realtime',
    '/api/v6/images',
    '/api/v6/realtime',
    '/modelslab/api/v1/enterprise',
  ])('is found where the SDK looks for it: %s', async (base) => {
    const answer = await answerOf(post(createApi(createFakeHost()), `${base}/text2img`, example));
    expect(answer).toMatchObject({ status: 'success' });
  });

  it('names parameters without effect, and unknown ones', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      tomesd: 'yes',
      loadbalancer: 'lb',
      surprise: 1,
    });
    const names = response.headers.get('X-Ignored-Parameters')?.split(', ').sort();
    expect(names).toEqual(['loadbalancer', 'surprise', 'tomesd']);
  });

  it('names nothing when all has its effect', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      safety_checker: 'no',
    });
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });

  it('tells what a LoRA that does not fit had no effect on: in headers and as a tip', async () => {
    const note = noteNoEffect({ kind: 'lora', name: 'shiny' }, 'it is for SDXL.');
    const host = createFakeHost({ addOns: [testAddOn('lora', 'shiny')], notes: [note] });
    const response = await post(createApi(host), 'text2img', { ...example, lora_model: 'shiny' });
    expect(response.headers.get('X-Ignored-Parameters')).toContain('lora_model.shiny');
    expect(decodeURIComponent(response.headers.get('X-Vitrine-Notes') ?? '')).toBe(note);
    expect(await answerOf(response)).toMatchObject({ status: 'success', tip: note });
  });
});
