import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { img2img, SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

const FINDER = testAddOn('finder', 'faces');
const GFPGAN = testAddOn('face-restorer', 'gfpgan');
const CODEFORMER = testAddOn('face-restorer', 'codeformer');
const NETWORKS = { addOns: [FINDER, GFPGAN, CODEFORMER] };
const NONE = { addOns: [FINDER] };

const image = toBase64(encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12) }));

describe('restore_faces', () => {
  it('runs CodeFormer by default, as faithfully as the options say', async () => {
    const overrides = { override_settings: { code_former_weight: 0.25 } };
    const { job, info, ignored } = await txt2img({ ...SMALL, restore_faces: true, ...overrides }, NETWORKS);
    expect(job?.post).toEqual([
      {
        kind: 'restore-faces',
        restorer: 'codeformer',
        visibility: 1,
        weight: 0.25,
        infotext: [['Face restoration', 'codeformer']],
      },
    ]);
    expect(info).toMatchObject({ restore_faces: true, face_restoration_model: 'codeformer' });
    expect(ignored).toEqual([]);
  });

  it('runs the one that the options name', async () => {
    const { job } = await img2img(
      {
        ...SMALL,
        init_images: [image],
        override_settings: { face_restoration: true, face_restoration_model: 'GFPGAN' },
      },
      NETWORKS,
    );
    expect(job?.post).toMatchObject([{ kind: 'restore-faces', restorer: 'gfpgan' }]);
    const off = await txt2img(
      { ...SMALL, restore_faces: false, override_settings: { face_restoration: true } },
      NETWORKS,
    );
    expect(off.job?.post).toEqual([]);
    expect(off.info).toMatchObject({ restore_faces: false, face_restoration_model: null });
  });

  it('inpaints each face at the size of the model where no network is installed', async () => {
    const { job, info } = await txt2img(
      { ...SMALL, restore_faces: true, tiling: true, cfg_scale: 4 },
      {
        addOns: [FINDER],
        models: [
          {
            ...OWN_GRAPHS_MODEL,
            pack: {
              ...OWN_GRAPHS_MODEL.pack,
              trainedSizes: [
                [768, 512],
                [512, 512],
              ],
            },
          },
        ],
      },
    );
    expect(job?.post).toMatchObject([
      {
        kind: 'detail',
        finder: { kind: 'faces' },
        inpaint: { area: { padding: 32 }, fill: 'original', overlay: true },
        pass: {
          model: 'photo',
          size: { width: 624, height: 624 },
          steps: 3,
          strength: 0.4,
          guidanceScale: 4,
        },
        noise: job?.noise,
        seedStep: 1,
        infotext: [['Face restoration', 'Detail (built in)']],
      },
    ]);
    expect(job?.post[0]).not.toHaveProperty('pass.graph');
    expect(info).toMatchObject({ face_restoration_model: 'Detail (built in)' });
  });

  it('names a restorer that is not there, and takes another', async () => {
    const { job, ignored } = await txt2img(
      { ...SMALL, restore_faces: true, override_settings: { face_restoration_model: 'RestoreFormer' } },
      { addOns: [FINDER, GFPGAN] },
    );
    expect(job?.post).toMatchObject([{ restorer: 'gfpgan' }]);
    expect(ignored).toEqual(['override_settings.face_restoration_model']);
  });

  it('is read from an infotext', async () => {
    const infotext =
      'a cat\nSteps: 3, Sampler: Euler, CFG scale: 7.0, Seed: 1, Face restoration: GFPGAN, Size: 64x64';
    const { job } = await txt2img({ infotext }, NETWORKS);
    expect(job?.post).toMatchObject([{ kind: 'restore-faces', restorer: 'gfpgan' }]);
  });
});

it('GET /face-restorers lists the installed networks and the built-in one', async () => {
  const list = await jsonOf(createApi(createFakeHost(NETWORKS)).request('/sdapi/v1/face-restorers'));
  expect(list).toEqual([
    { name: 'gfpgan', cmd_dir: null },
    { name: 'codeformer', cmd_dir: null },
    { name: 'Detail (built in)', cmd_dir: null },
  ]);
});

describe('extras', () => {
  async function extras(body: object, options: Parameters<typeof createFakeHost>[0]) {
    const fake = createFakeHost(options);
    const response = await post(createApi(fake), '/sdapi/v1/extra-single-image', { image, ...body });
    const answer = await jsonOf<{ html_info: string; detail: unknown }>(response);
    return { status: response.status, answer, job: fake.upscalings[0] };
  }

  it('restores faces by both networks, before the image is upscaled', async () => {
    const { answer, job } = await extras(
      { gfpgan_visibility: 0.5, codeformer_visibility: 1, codeformer_weight: 0.3, upscaler_1: 'Lanczos' },
      NETWORKS,
    );
    expect(job?.post).toMatchObject([
      { kind: 'restore-faces', restorer: 'gfpgan', visibility: 0.5 },
      { kind: 'restore-faces', restorer: 'codeformer', visibility: 1, weight: 0.3 },
      { kind: 'upscale', upscaler: 'Lanczos' },
    ]);
    expect(answer.html_info).toBe(
      '<p>GFPGAN visibility: 0.5, Face restoration: gfpgan, CodeFormer visibility: 1, CodeFormer weight: 0.3, ' +
        'Face restoration: codeformer, Postprocess upscale by: 2, Postprocess upscaler: Lanczos</p>',
    );
  });

  it('or after it, where the request says so', async () => {
    const { job } = await extras({ gfpgan_visibility: 1, upscale_first: true }, NETWORKS);
    expect(job?.post).toMatchObject([{ kind: 'upscale' }, { kind: 'restore-faces' }]);
  });

  it('inpaints faces with the selected model where neither network is installed', async () => {
    const { answer, job } = await extras({ gfpgan_visibility: 0.2, codeformer_visibility: 0.6 }, NONE);
    expect(job?.post).toMatchObject([
      {
        kind: 'detail',
        visibility: 0.6,
        pass: { model: 'emoji-mini', size: { width: 256, height: 256 }, sampler: { sampler: 'dpmpp_2m' } },
      },
      { kind: 'upscale' },
    ]);
    expect(answer.html_info).toContain('Face restoration: Detail (built in)');
  });

  it.each([
    [{ gfpgan_visibility: 1.5 }, 'gfpgan_visibility'],
    [{ codeformer_visibility: 1, codeformer_weight: -1 }, 'codeformer_weight'],
  ])('refuses %j', async (body, field) => {
    const { status, answer, job } = await extras(body, NETWORKS);
    expect(status).toBe(422);
    expect(JSON.stringify(answer.detail)).toContain(field);
    expect(job).toBeUndefined();
  });
});
