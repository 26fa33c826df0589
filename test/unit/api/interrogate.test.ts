import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '#api/index.ts';
import { encodePng } from '#codecs/png.ts';
import { postForm } from '../../support/fooocus.ts';
import { jsonOf, post } from '../../support/http.ts';
import { captionerPack, wdTaggerPack } from '../../support/tiny-describers.ts';
import { openVisionApi, type VisionApi } from '../../support/vision-api.ts';

/* Descriptions by every API, on the real engine: with what comes with the app, and with a tagger and a caption model installed. */

const FOLDER = new URL('../../fixtures/described/', import.meta.url);
/** Images of the built-in model, by what their prompts asked for. */
const IMAGES = readdirSync(FOLDER).map((file) => {
  const bytes = readFileSync(new URL(file, FOLDER));
  return {
    thing: file.replace('.png', '').replaceAll('-', ' '),
    file: new File([bytes], file, { type: 'image/png' }),
    base64: bytes.toString('base64'),
  };
});

function imageOf(thing: string) {
  const found = IMAGES.find((image) => image.thing === thing);
  if (!found) throw new Error(`There is no image of a ${thing}.`);
  return found;
}

const GUITAR = imageOf('guitar');
const ORANGE = Buffer.from(
  encodePng({
    width: 8,
    height: 8,
    channels: 3,
    data: Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => [255, 128, 0][i % 3] ?? 0),
  }),
).toString('base64');

const routes = {
  a1111: (api: Api, base64: string, kind: 'caption' | 'tags') =>
    post(api, '/sdapi/v1/interrogate', { image: base64, model: kind === 'tags' ? 'deepdanbooru' : 'clip' }),
  sdcn: (api: Api, base64: string, kind: 'caption' | 'tags') =>
    post(api, '/interrogate', { image: base64, model: kind === 'tags' ? 'deepdanbooru' : 'clip' }),
  fooocus: (api: Api, base64: string, kind: 'caption' | 'tags') =>
    postForm(api, `/v1/tools/describe-image?image_type=${kind === 'tags' ? 'Anime' : 'Photo'}`, {
      image: new Blob([Buffer.from(base64, 'base64')], { type: 'image/png' }),
    }),
} as const;

const FIELDS = { a1111: 'caption', sdcn: 'caption', fooocus: 'describe' } as const;

type Dialect = keyof typeof routes;
const DIALECTS = Object.keys(routes) as Dialect[];

async function textOf(dialect: Dialect, response: Response): Promise<string> {
  expect(response.status).toBe(200);
  const answer = await jsonOf<Record<string, string>>(response);
  expect(Object.keys(answer)).toEqual([FIELDS[dialect]]);
  return answer[FIELDS[dialect]] ?? '';
}

describe('with nothing installed', () => {
  let vision: VisionApi;
  beforeAll(async () => {
    vision = await openVisionApi();
  }, 60_000);
  afterAll(() => vision.close());

  it.each(DIALECTS)('%s names what the built-in model’s own images show', async (dialect) => {
    const right: string[] = [];
    for (const { thing, base64 } of IMAGES) {
      const response = await routes[dialect](vision.api, base64, 'caption');
      expect(response.headers.get('X-Vitrine-Describer')).toBe('emoji-mini-describer');
      expect(response.headers.get('X-Vitrine-Notes')).toContain('built-in%20model');
      if ((await textOf(dialect, response)).includes(thing)) right.push(thing);
    }
    expect(IMAGES).toHaveLength(10);
    expect(right.length).toBeGreaterThanOrEqual(8);
  });

  it.each(DIALECTS)('%s answers who asks for tags with tags', async (dialect) => {
    const response = await routes[dialect](vision.api, GUITAR.base64, 'tags');
    expect(response.headers.get('X-Vitrine-Notes')).toContain('Install%20a%20tagger');
    expect(await textOf(dialect, response)).toBe('gradient style, guitar, instrument, music, strat');
  });

  it('itsrose makes a prompt of an image', async () => {
    const address = encodeURIComponent(`data:image/png;base64,${GUITAR.base64}`);
    const response = await vision.api.request(`/sdapi/generate_prompt?init_image=${address}`);
    expect(await jsonOf(response)).toEqual({
      status: true,
      message: 'success',
      result: { prompt: 'guitar, gradient style' },
    });
  });

  it('Fooocus takes the type by the name of its documentation too', async () => {
    const response = await postForm(vision.api, '/v1/tools/describe-image?type=Anime', {
      image: GUITAR.file,
    });
    expect(await jsonOf(response)).toEqual({ describe: 'gradient style, guitar, instrument, music, strat' });
  });

  it.each(DIALECTS)('%s leaves nothing of it behind', async (dialect) => {
    await textOf(dialect, await routes[dialect](vision.api, GUITAR.base64, 'caption'));
    expect(await vision.host.jobs()).toEqual([]);
    expect((await vision.host.gallery(10)).total).toBe(0);
  });

  it.each<[string, string, object, number, object]>([
    [
      'A1111',
      '/sdapi/v1/interrogate',
      { image: null },
      404,
      { error: 'HTTPException', detail: 'Image not found' },
    ],
    ['A1111', '/sdapi/v1/interrogate', {}, 500, { detail: 'Invalid encoded image' }],
    ['A1111', '/sdapi/v1/interrogate', { image: 'x', model: 'blip9' }, 404, { detail: 'Model not found' }],
    ['SDCN', '/interrogate', { image: 'x', model: 'clip' }, 500, { detail: 'Invalid encoded image' }],
    ['SDCN', '/interrogate', { image: ORANGE, model: 'blip9' }, 404, { detail: 'Model not found' }],
  ])('%s refuses at %s %j', async (_, path, body, status, answer) => {
    const response = await post(vision.api, path, body);
    expect(response.status).toBe(status);
    expect(await jsonOf(response)).toMatchObject(answer);
  });

  it('Fooocus refuses what is no image, and no image, as its validation does', async () => {
    const broken = await postForm(vision.api, '/v1/tools/describe-image', { image: new Blob(['x']) });
    const absent = await postForm(vision.api, '/v1/tools/describe-image', {});
    const type = await postForm(vision.api, '/v1/tools/describe-image?image_type=Art', {
      image: GUITAR.file,
    });
    expect([broken.status, absent.status, type.status]).toEqual([422, 422, 422]);
  });

  it('itsrose refuses what is no image', async () => {
    const response = await vision.api.request('/sdapi/generate_prompt?init_image=x');
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({ status: false });
  });
});

describe('with a tagger and a caption model', () => {
  let vision: VisionApi;
  beforeAll(async () => {
    vision = await openVisionApi([wdTaggerPack(), captionerPack()]);
  }, 60_000);
  afterAll(() => vision.close());

  it.each(DIALECTS)('%s uses them', async (dialect) => {
    const tags = await routes[dialect](vision.api, ORANGE, 'tags');
    expect([tags.headers.get('X-Vitrine-Describer'), tags.headers.get('X-Vitrine-Notes')]).toEqual([
      'tiny-wd',
      null,
    ]);
    expect(await textOf(dialect, tags)).toBe('green \\(plant, large\\), red hair');
    const caption = await routes[dialect](vision.api, ORANGE, 'caption');
    expect(caption.headers.get('X-Vitrine-Describer')).toBe('tiny-captioner');
    expect(await textOf(dialect, caption)).toBe('a red image');
  });

  it('A1111’s options decide which tags there are and how they are written', async () => {
    const ask = async (options: object) => {
      await post(vision.api, '/sdapi/v1/options', options);
      return textOf('a1111', await routes.a1111(vision.api, ORANGE, 'tags'));
    };
    expect(await ask({ interrogate_deepbooru_score_threshold: 0.6 })).toBe('red hair');
    expect(await ask({ interrogate_deepbooru_score_threshold: 0.2, deepbooru_sort_alpha: false })).toBe(
      'red hair, green \\(plant, large\\)',
    );
    expect(await ask({ deepbooru_use_spaces: false, deepbooru_escape: false })).toBe(
      'red_hair, green_(plant, large)',
    );
    expect(await ask({ deepbooru_filter_tags: 'blue sky, red hair' })).toBe('green_(plant, large)');
    expect(await ask({ interrogate_return_ranks: true })).toMatch(/^\(green_\(plant, large\):0\.50\d\)$/);
    await post(vision.api, '/sdapi/v1/options', { interrogate_clip_max_length: 2 });
    expect(await textOf('a1111', await routes.a1111(vision.api, ORANGE, 'caption'))).toBe('a red');
  });
});

it('loopback appends to its prompt what its init image shows', async () => {
  const vision = await openVisionApi([captionerPack()]);
  const run = async (prompt: string, appended: string) => {
    const response = await post(vision.api, '/sdapi/v1/img2img', {
      prompt,
      init_images: [ORANGE],
      width: 64,
      height: 64,
      steps: 1,
      seed: 5,
      denoising_strength: 0.5,
      script_name: 'loopback',
      script_args: [1, 0.5, 'Linear', appended],
    });
    expect(response.status).toBe(200);
    const { info } = await jsonOf<{ info: string }>(response);
    return (JSON.parse(info) as { infotexts: string[] }).infotexts[0]?.split('\n')[0];
  };
  expect(await run('waves', 'CLIP')).toBe('waves, a red image');
  expect(await run('', 'CLIP')).toBe('a red image');
  expect(await run('waves', 'None')).toBe('waves');
  await vision.close();
}, 60_000);
