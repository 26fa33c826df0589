import { planHorde } from '#host/backends/horde/plan.ts';
import { AppError } from '#protocol/error.ts';
import type { HordeOptions } from '#protocol/horde-worker.ts';
import type { GenerateJob, Job, MaskedInit } from '#protocol/job.ts';
import { describe, expect, it } from 'vitest';
import { textToImage, withPass } from '../../../support/jobs.ts';

const options: HordeOptions = { model: '', nsfw: false, trustedWorkers: false };
const euler = {
  family: 'k-diffusion',
  sampler: 'euler_ancestral',
  schedule: 'automatic',
  options: {},
} as const;
const file = new Blob(['an image'], { type: 'image/png' });

const apple = withPass(
  textToImage({
    prompt: 'a red apple',
    negativePrompt: 'green',
    seeds: [7n],
    width: 512,
    height: 768,
    steps: 25,
  }),
  { model: 'stable-diffusion-1.5', sampler: euler, guidanceScale: 7.123 },
);

const plan = (job: Job, changes: Partial<HordeOptions> = {}, versions = {}) =>
  planHorde(job, { ...options, ...changes }, versions);
const payloadOf = (job: Job) => plan(job).requests[0]?.payload;

function refusalOf(job: Job): string {
  try {
    plan(job);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'unsupported_feature') return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

const inpaint: MaskedInit = {
  from: 'masked',
  rules: 'a1111',
  images: [file],
  fit: 'crop',
  mask: { kind: 'image', mask: file, invert: true },
  fill: 'original',
  blur: { x: 0, y: 0 },
  round: false,
  area: 'whole',
  overlay: true,
};

describe('a job for the AI Horde', () => {
  it('becomes one request in the Horde’s words', () => {
    const { requests, notes } = plan(apple);
    expect(notes).toEqual([]);
    expect(requests).toHaveLength(1);
    expect(requests[0]?.payload).toEqual({
      prompt: 'a red apple ### green',
      params: {
        sampler_name: 'k_euler_a',
        karras: false,
        cfg_scale: 7.12,
        steps: 25,
        width: 512,
        height: 768,
        clip_skip: 1,
        tiling: false,
        n: 1,
        seed: '7',
      },
      models: ['stable_diffusion'],
      nsfw: false,
      censor_nsfw: true,
      trusted_workers: false,
      r2: true,
      shared: false,
    });
  });

  it.each([
    [{ family: 'k-diffusion', sampler: 'dpmpp_2m', schedule: 'automatic', options: {} }, 'k_dpmpp_2m', true],
    [{ family: 'k-diffusion', sampler: 'dpmpp_2m', schedule: 'uniform', options: {} }, 'k_dpmpp_2m', false],
    [{ family: 'k-diffusion', sampler: 'ddim', schedule: 'automatic', options: {} }, 'DDIM', false],
    [
      { family: 'diffusers', scheduler: 'EulerDiscreteScheduler', config: { use_karras_sigmas: true } },
      'k_euler',
      true,
    ],
    [{ family: 'diffusers', scheduler: 'DPMSolverMultistepScheduler', config: {} }, 'k_dpmpp_2m', false],
  ] as const)('has the sampler %j', (sampler, name, karras) => {
    expect(payloadOf(withPass(apple, { sampler }))?.params).toMatchObject({ sampler_name: name, karras });
  });

  it('says so when the Horde lacks a schedule', () => {
    const sampler = { ...euler, schedule: 'exponential' };
    expect(plan(withPass(apple, { sampler })).notes).toEqual([
      'Had no effect at the AI Horde: the schedule “exponential”.',
    ]);
  });

  it('sends images whose seeds are at equal distances together, others apart', () => {
    const images = [1n, 2n, 3n, 9n, 10n].map(
      (seed) => ({ ...apple.images[0], seed }) as GenerateJob['images'][0],
    );
    const { requests } = plan({ ...apple, images });
    expect(
      requests.map(({ first, payload: { params } }) => [first, params.n, params.seed, params.seed_variation]),
    ).toEqual([
      [0, 3, '1', 1],
      [3, 2, '9', 1],
    ]);
  });

  it('cuts seeds to the 32 bits they have there', () => {
    const image = { ...apple.images[0], seed: 2n ** 40n + 5n } as GenerateJob['images'][0];
    const { requests, notes } = plan({ ...apple, images: [image] });
    expect(requests[0]?.payload.params.seed).toBe('5');
    expect(notes).toEqual(['Had no effect at the AI Horde: the bits of seeds beyond 32.']);
  });

  it('takes the model the user has chosen, and says so', () => {
    const { requests, notes } = plan(apple, { model: 'AlbedoBase XL (SDXL)' });
    expect(requests[0]?.payload.models).toEqual(['AlbedoBase XL (SDXL)']);
    expect(notes).toEqual([
      'Generated with the AI Horde’s model “AlbedoBase XL (SDXL)” instead of “stable-diffusion-1.5”.',
    ]);
  });

  it('starts from an image, or from a masked one', () => {
    const image: GenerateJob = {
      ...withPass(apple, { strength: 0.4 }),
      init: { from: 'image', rules: 'a1111', images: [file], fit: 'stretch' },
    };
    expect(payloadOf(image)).toMatchObject({
      source_processing: 'img2img',
      params: { denoising_strength: 0.4 },
    });
    expect(plan(image).requests[0]).toMatchObject({ source: { file, fit: 'stretch' } });
    const masked = plan({ ...apple, init: inpaint }).requests[0];
    expect(masked).toMatchObject({
      payload: { source_processing: 'inpainting' },
      source: { file, fit: 'crop' },
      mask: { file, fit: 'crop', invert: true },
    });
  });

  it('has one ControlNet', () => {
    const control = {
      id: 'control_v11p_sd15_canny',
      image: file,
      fit: 'cover',
      preprocessor: { kind: 'canny', low: 100, high: 200 },
      strength: 1,
      start: 0,
      end: 1,
      balance: 'even',
    } as const;
    const job = { ...apple, controls: [control] };
    expect(plan(job).requests[0]).toMatchObject({
      source: { file, fit: 'cover' },
      payload: { params: { control_type: 'canny', image_is_control: false, denoising_strength: 1 } },
    });
    expect(
      payloadOf({ ...job, controls: [{ ...control, preprocessor: { kind: 'none' } }] })?.params,
    ).toMatchObject({
      image_is_control: true,
    });
    expect(refusalOf({ ...job, controls: [{ ...control, id: 'tile' }] })).toContain('the ControlNet “tile”');
    expect(refusalOf({ ...job, controls: [control, control] })).toContain('several ControlNets');
    expect(refusalOf({ ...job, init: inpaint })).toContain('a ControlNet with inpainting');
  });

  it('has LoRAs that CivitAI has, from prompts and from the job', () => {
    const [image] = apple.images;
    if (!image) throw new Error('no image');
    const job: GenerateJob = {
      ...apple,
      promptOptions: { ...apple.promptOptions, syntax: 'a1111' },
      images: [{ ...image, prompt: ['a red apple <lora:glow:0.5:0.8>'] }],
      loras: [{ id: 'ink', strength: 0.7 }],
    };
    const { payload } = plan(job, {}, { glow: '111', ink: '222' }).requests[0] ?? {};
    expect(payload?.prompt).toBe('a red apple ### green');
    expect(payload?.params.loras).toEqual([
      { name: '222', is_version: true, model: 0.7, clip: 0.7 },
      { name: '111', is_version: true, model: 0.8, clip: 0.5 },
    ]);
    expect(refusalOf(job)).toContain('the LoRA “glow”, because it was not imported from CivitAI');
  });

  it('is upscaled and restored there by what the Horde has', () => {
    const job: GenerateJob = {
      ...apple,
      post: [
        { kind: 'upscale', upscaler: 'R-ESRGAN 4x+', size: { factor: 4 } },
        { kind: 'restore-faces', restorer: 'GFPGANv1.4', visibility: 1, infotext: [] },
      ],
    };
    expect(payloadOf(job)?.params.post_processing).toEqual(['RealESRGAN_x4plus', 'GFPGAN']);
    const toTwice: GenerateJob = {
      ...job,
      post: [{ kind: 'upscale', upscaler: 'R-ESRGAN 4x+', size: { factor: 2 } }],
    };
    expect(refusalOf(toTwice)).toContain('to another size than 4×');
  });

  it('has workers censor where images are to be checked', () => {
    const check = { kind: 'safety', action: 'blur', checker: 'nsfw', threshold: 0.6 } as const;
    const { requests, notes } = plan({ ...apple, post: [check] }, { nsfw: true });
    expect(requests[0]?.payload).toMatchObject({ nsfw: false, censor_nsfw: true });
    expect(notes).toEqual([
      'Had no effect at the AI Horde: the safety checker, in place of which workers censor.',
    ]);
  });

  it('has hires fix, whose first size the Horde chooses', () => {
    const [first] = apple.passes;
    const second = {
      ...first,
      size: { width: 1024, height: 1536 },
      strength: 0.6,
      resizeBy: 'Latent',
    } as const;
    const { requests, notes } = plan({ ...apple, passes: [first, second] });
    expect(requests[0]?.payload.params).toMatchObject({
      width: 1024,
      height: 1536,
      hires_fix: true,
      hires_fix_denoising_strength: 0.6,
    });
    expect(notes).toEqual(['Had no effect at the AI Horde: the size of the first pass.']);
  });

  it('never lets a prompt become a negative prompt by accident', () => {
    const [image] = apple.images;
    if (!image) throw new Error('no image');
    expect(payloadOf({ ...apple, images: [{ ...image, prompt: ['a ### b'] }] })?.prompt).toBe(
      'a ## b ### green',
    );
  });

  it('is refused by the name of everything the Horde cannot do', () => {
    const [first] = apple.passes;
    expect(refusalOf(withPass(apple, { size: { width: 500, height: 512 } }))).toContain('nearest: 512×512');
    expect(refusalOf(withPass(apple, { sampler: { ...euler, sampler: 'unipc' } }))).toContain(
      'the sampler “unipc”',
    );
    expect(refusalOf(withPass(apple, { vae: 'x' }))).toContain('replacement VAEs');
    expect(
      refusalOf({ ...apple, passes: [{ ...first, refiner: { model: 'r', switchAt: 0.8, counts: 'step' } }] }),
    ).toContain('a refiner');
    expect(refusalOf({ ...apple, noise: { ...apple.noise, subseedStrength: 0.2 } })).toContain(
      'variation seeds',
    );
    expect(
      refusalOf({ ...apple, init: { ...inpaint, expand: { left: 64, top: 0, right: 0, bottom: 0 } } }),
    ).toContain('outpainting');
    expect(refusalOf(textToImage({ prompt: '', seeds: [1n] }))).toContain('an empty prompt');
    expect(
      refusalOf({
        task: 'upscale',
        sources: [{ image: file }],
        post: [{ kind: 'upscale', upscaler: 'Lanczos', size: { factor: 2 } }],
        output: { format: 'png', quality: 1, texts: false },
      }),
    ).toContain('“Upscaling” runs in this tab');
  });
});
