import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { colourOf, createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { answerOf, colourAt, example, post } from './request.ts';

const flat = (value: number, width = 8) =>
  encodePng({ width, height: 8, channels: 3, data: new Uint8Array(width * 8 * 3).fill(value) });
const [image, mask] = [flat(90), flat(255, 12)];

const img2img = { ...example, init_image: toBase64(image) };
const inpaint = { ...img2img, mask_image: toBase64(mask) };

const bytesOf = async (file: Blob | undefined) => new Uint8Array((await file?.arrayBuffer()) ?? []);

function startOf(job: GenerateJob | undefined): Blob | undefined {
  return job && job.init.from !== 'noise' ? job.init.images[0] : undefined;
}

function maskOf(job: GenerateJob | undefined): Blob | undefined {
  const source = job?.init.from === 'masked' ? job.init.mask : undefined;
  return source?.kind === 'image' ? source.mask : undefined;
}

describe('img2img', () => {
  it('starts from init_image, stretched to the size asked for', async () => {
    const host = createFakeHost();
    const body = { ...img2img, samples: 2, strength: '0.4', base64: 'no' };
    const answer = await answerOf(post(createApi(host), 'img2img', body));
    expect(answer).toMatchObject({
      status: 'success',
      meta: { init_image: null, strength: 0.4, W: 512, H: 256, n_samples: 2, upscale: 'no' },
    });
    expect(host.jobs[0]).toMatchObject({
      images: [{ seed: 1234n }, { seed: 1235n }],
      init: { from: 'image', rules: 'diffusers', fit: 'stretch' },
      passes: [{ strength: 0.4, size: { width: 512, height: 256 } }],
    });
    expect(await bytesOf(startOf(host.jobs[0]))).toEqual(image);
  });

  it.each(['no', 'yes'])('takes URLs of earlier answers, with base64: %s', async (base64) => {
    const host = createFakeHost();
    const api = createApi(host);
    const { output } = await answerOf(post(api, 'text2img', { ...example, base64 }));
    const [url = ''] = output as string[];
    const { meta } = await answerOf(post(api, 'img2img', { ...img2img, init_image: url }));
    expect(meta).toMatchObject({ init_image: url });
    const [made] = await host.host.images((await host.host.jobs())[0]?.id ?? '');
    expect(await bytesOf(startOf(host.jobs[1]))).toEqual(await bytesOf(made?.blob));
  });
});

/** Each attribute of the documentation's table: a value, and its effect on the job or on `meta`. */
const ATTRIBUTES: readonly [change: object, effect: { job?: object; meta?: object }][] = [
  [{ model_id: 'photo' }, { job: { passes: [{ model: 'photo' }] }, meta: { model_id: 'photo' } }],
  [{ prompt: 'a pear' }, { job: { images: [{ prompt: ['a pear'] }] }, meta: { prompt: 'a pear' } }],
  [{ negative_prompt: 'blur' }, { job: { images: [{ negativePrompt: ['blur'] }] } }],
  [{ width: 768 }, { job: { passes: [{ size: { width: 768, height: 256 } }] }, meta: { W: 768 } }],
  [{ height: 768 }, { job: { passes: [{ size: { width: 512, height: 768 } }] }, meta: { H: 768 } }],
  [{ samples: 3 }, { job: { batchSize: 3, images: [{}, {}, {}] }, meta: { n_samples: 3 } }],
  [{ num_inference_steps: '41' }, { job: { passes: [{ steps: 41 }] }, meta: { steps: 41 } }],
  [{ safety_checker: 'no' }, { meta: { safetychecker: 'no' } }],
  [
    { enhance_prompt: 'yes' },
    { job: { images: [{ prompt: [expect.stringMatching(/^a red apple, \w+/)] }] } },
  ],
  [{ guidance_scale: 3 }, { job: { passes: [{ guidanceScale: 3 }] }, meta: { guidance_scale: 3 } }],
  [{ strength: 0.25 }, { job: { passes: [{ strength: 0.25 }] }, meta: { strength: 0.25 } }],
  [{ strength: null }, { job: { passes: [{ strength: 0.7 }] } }],
  [{ tomesd: 'yes' }, { job: { passes: [{ graph: { tokenMerging: 0.5 } }] }, meta: { tomesd: 'yes' } }],
  [{ use_karras_sigmas: 'yes' }, { job: { passes: [{ sampler: { config: { use_karras_sigmas: true } } }] } }],
  [
    { scheduler: 'DPMSolverMultistepScheduler', algorithm_type: 'dpmsolver+++' },
    { job: { passes: [{ sampler: { config: { algorithm_type: 'sde-dpmsolver++' } } }] } },
  ],
  [{ vae: 'soft' }, { job: { passes: [{ vae: 'soft' }] }, meta: { vae: 'soft' } }],
  [
    { lora_model: 'contrast-fix,yae', lora_strength: '0.1,1' },
    {
      job: {
        loras: [
          { id: 'contrast-fix', strength: 0.1 },
          { id: 'yae', strength: 1 },
        ],
      },
    },
  ],
  [{ scheduler: 'DDIMScheduler' }, { job: { passes: [{ sampler: { scheduler: 'DDIMScheduler' } }] } }],
  [{ seed: 9 }, { job: { images: [{ seed: 9n }] }, meta: { seed: 9 } }],
  [{ clip_skip: 2 }, { job: { promptOptions: { clipSkip: 2 } }, meta: { clip_skip: 2 } }],
];

describe('inpaint', () => {
  it('generates what is white in the mask, whatever its size, and keeps the rest', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const answer = await answerOf(post(api, 'inpaint', inpaint));
    const [job] = host.jobs;
    expect(job?.init).toMatchObject({
      from: 'masked',
      rules: 'diffusers',
      fit: 'stretch',
      mask: { kind: 'image', invert: false },
      fill: 'original',
      area: 'whole',
      overlay: true,
    });
    expect([await bytesOf(startOf(job)), await bytesOf(maskOf(job))]).toEqual([image, mask]);
    const [url = ''] = answer['output'] as string[];
    expect(await colourAt(api, url)).toEqual(colourOf(1234n));
  });

  it.each(ATTRIBUTES)('%j has its effect', async (change, { job = {}, meta = {} }) => {
    const addOns = [testAddOn('vae', 'soft'), testAddOn('lora', 'contrast-fix'), testAddOn('lora', 'yae')];
    const host = createFakeHost({ models: [{ ...OWN_GRAPHS_MODEL, selected: true }], addOns });
    const neutral = { ...inpaint, model_id: null, use_karras_sigmas: 'no', tomesd: 'no' };
    const response = await post(createApi(host), 'inpaint', { ...neutral, ...change });
    expect(await answerOf(response)).toMatchObject({ status: 'success', meta });
    expect(host.jobs[0]).toMatchObject(job);
  });

  it.each([
    '/api/v1/enterprise/images/inpaint',
    '/api/v1/enterprise/realtime/inpaint',
    '/api/v1/enterprise/image_editing/inpaint',
    '/api/v6/images/inpaint',
    '/api/v6/realtime/inpaint',
    '/api/v6/image_editing/inpaint',
  ])('is found where the SDK looks for it: %s', async (path) => {
    expect(await answerOf(post(createApi(createFakeHost()), path, inpaint))).toMatchObject({
      status: 'success',
    });
  });
});

it.each([
  [{ init_image: undefined }, 'init_image is required'],
  [{ mask_image: null }, 'mask_image is required'],
  [{ init_image: 'http://127.0.0.1:1/a.png' }, 'Unable to fetch image from provided URL. The server cannot'],
  [{ init_image: 'no image!' }, "'init_image' is neither a URL nor base64."],
  [{ mask_image: toBase64(mask.slice(0, 50)) }, "'mask_image' is truncated or damaged."],
  [{ strength: -1 }, 'strength must be between 0 and 1'],
  [{ strength: 2 }, 'strength must be between 0 and 1'],
  [{ height: 300 }, 'height must be divisible by 8'],
  [{ samples: 40 }, 'samples must be between 1 and 4'],
])('inpaint refuses %j', async (change, message) => {
  const host = createFakeHost();
  const response = await post(createApi(host), 'inpaint', { ...inpaint, ...change });
  expect([response.status, await answerOf(response)]).toEqual([
    400,
    {
      status: 'error',
      message: expect.stringContaining(message) as string,
      messege: expect.stringContaining(message) as string,
    },
  ]);
  expect(host.jobs).toEqual([]);
});
