import { describe, expect, it } from 'vitest';
import type { ApiHost } from '#api/connection.ts';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { pixelsOf, progressOf, SMALL, type Txt2imgAnswer } from '../../../../support/a1111.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';
import { waitFor } from '../../../../support/wait-for.ts';

/* Scripts by the jobs that they run and by what they answer. Legends are written where there is a canvas. */

interface Info {
  all_prompts: string[];
  all_negative_prompts: string[];
  all_seeds: number[];
  infotexts: string[];
  index_of_first_image: number;
  extra_generation_params: Record<string, unknown>;
}

async function run(
  route: 'txt2img' | 'img2img',
  body: object,
  options: Parameters<typeof createFakeHost>[0] = {},
) {
  const fake = createFakeHost(options);
  const response = await post(createApi(fake), `/sdapi/v1/${route}`, { ...SMALL, ...body });
  const answer = await jsonOf<Txt2imgAnswer>(response);
  const ignored = response.headers.get('X-Ignored-Parameters')?.split(', ').map(decodeURIComponent) ?? [];
  return {
    status: response.status,
    answer,
    ignored,
    info: JSON.parse(response.ok ? answer.info : 'null') as Info,
    jobs: fake.jobs,
  };
}

const seedsOf = (jobs: readonly GenerateJob[]) =>
  jobs.flatMap(({ images }) => images.map(({ seed }) => Number(seed)));
const promptsOf = (jobs: readonly GenerateJob[]) =>
  jobs.flatMap(({ images }) => images.map(({ prompt }) => prompt[0]));
const sizeOf = (image: string | undefined) => {
  const { width, height } = pixelsOf(image);
  return [width, height];
};

const init = await blobToBase64(pngOf(64, 64, (x, y) => [x * 4, y * 4, 128]));

describe('Prompt matrix', () => {
  const matrix = (args: unknown[] = [], body: object = {}) =>
    run('txt2img', {
      prompt: 'a tree|snow|at night',
      script_name: 'Prompt matrix',
      script_args: args,
      ...body,
    });

  it('generates every combination of the parts in one job, a grid in front', async () => {
    const { answer, info, jobs } = await matrix();
    expect(jobs).toHaveLength(1);
    expect(promptsOf(jobs)).toEqual(['a tree', 'a tree, snow', 'a tree, at night', 'a tree, snow, at night']);
    expect(seedsOf(jobs)).toEqual([1000, 1000, 1000, 1000]);
    expect(answer.images).toHaveLength(5);
    expect(info).toMatchObject({ index_of_first_image: 1, all_seeds: [1000, 1000, 1000, 1000] });
    expect(info.infotexts).toHaveLength(5);
    expect(info.infotexts[4]).toContain('a tree, snow, at night');
  });

  it('puts parts at the start, joins them by spaces, and takes another seed for each', async () => {
    const { jobs } = await matrix([true, true, 'positive', 'space']);
    expect(promptsOf(jobs)).toEqual(['a tree', 'snow a tree', 'at night a tree', 'snow at night a tree']);
    expect(seedsOf(jobs)).toEqual([1000, 1001, 1002, 1003]);
  });

  it('combines the parts of the negative prompt', async () => {
    const { info } = await matrix([false, false, 'negative'], {
      prompt: 'a tree',
      negative_prompt: 'fog|rain',
    });
    expect(info.all_negative_prompts).toEqual(['fog', 'fog, rain']);
    expect(info.all_prompts).toEqual(['a tree', 'a tree']);
  });

  it('leaves so many pixels between the cells', async () => {
    const [with10, without] = await Promise.all([
      matrix([false, false, 'positive', 'comma', 10]),
      matrix([]),
    ]);
    const [wide = 0, high = 0] = sizeOf(with10.answer.images[0]);
    expect(sizeOf(without.answer.images[0])).toEqual([wide - 10, high - 10]);
  });

  it('refuses arguments that it does not have', async () => {
    const { status, answer, jobs } = await matrix([false, false, 'both']);
    expect([status, answer.detail]).toEqual([422, "script_args: 'Select prompt' cannot be read"]);
    expect(jobs).toHaveLength(0);
  });
});

describe('X/Y/Z plot', () => {
  /** Arguments of a plot; axes are numbered in the order of the menu. */
  const plot = (
    axes: [type: number | string, values: string, chosen?: string[]][],
    {
      legend = false,
      cells = false,
      grids = false,
      random = false,
      vary = [false, false, false],
      margin = 0,
      text = true,
    } = {},
  ) => [
    ...[0, 1, 2].flatMap((i) => (axes[i] ? [axes[i][0], axes[i][1], axes[i][2] ?? []] : [0, '', []])),
    legend,
    cells,
    grids,
    random,
    ...vary,
    margin,
    text,
  ];
  const xyz = (args: unknown[], body: object = {}, options = {}) =>
    run('txt2img', { script_name: 'x/y/z plot', script_args: args, ...body }, options);

  it('runs each pair of values and answers with one grid', async () => {
    const { answer, info, jobs } = await xyz(
      plot([
        ['Steps', '2-4 (+2)'],
        ['CFG Scale', '5, 7.5, 9'],
      ]),
    );
    expect(jobs.map(({ passes: [pass] }) => [pass.steps, pass.guidanceScale])).toEqual(
      expect.arrayContaining([
        [2, 5],
        [4, 5],
        [2, 7.5],
        [4, 7.5],
        [2, 9],
        [4, 9],
      ]),
    );
    expect(jobs).toHaveLength(6);
    expect(answer.images).toHaveLength(1);
    const { width, height } = pixelsOf(answer.images[0]);
    // Emoji Mini generates 64 × 64 as asked for.
    expect([width, height]).toEqual([128, 192]);
    expect(info.infotexts[0]).toContain(
      'Script: X/Y/Z plot, X Type: Steps, X Values: 2-4 (+2), Y Type: CFG Scale, Y Values: "5, 7.5, 9"',
    );
  });

  it('numbers axes by their places in the menu, and takes seeds as they are', async () => {
    const { jobs, info } = await xyz(plot([[1, '7, 8, 12']], { cells: true }));
    expect(seedsOf(jobs)).toEqual([7, 8, 12]);
    expect(info.all_seeds).toEqual([7, 8, 12]);
    expect(info.infotexts[0]).toContain('Fixed X Values: "7, 8, 12"');
  });

  it('answers with the grid of all, one for each value of the third axis, and every image', async () => {
    const args = plot(
      [
        ['Steps', '2,3'],
        ['Nothing', ''],
        ['Seed', '1,2'],
      ],
      { cells: true, grids: true },
    );
    const { answer, info } = await xyz(args);
    expect(answer.images).toHaveLength(1 + 2 + 4);
    expect(info.infotexts).toHaveLength(7);
    expect(info.infotexts[0]).toContain('Z Type: Seed');
    expect(info.infotexts[1]).not.toContain('Z Type');
    expect(sizeOf(answer.images[0])).toEqual([256, 64]);
    expect(sizeOf(answer.images[1])).toEqual([128, 64]);
  });

  it('keeps one seed for all cells unless an axis varies it', async () => {
    const same = await xyz(plot([['Steps', '2,3']]), { seed: -1 });
    expect(new Set(seedsOf(same.jobs)).size).toBe(1);
    const varied = await xyz(plot([['Steps', '2,3,4']], { vary: [true, false, false] }));
    expect(seedsOf(varied.jobs)).toEqual([1000, 1001, 1002]);
    const random = await xyz(plot([['Steps', '2,3']], { random: true }), { seed: -1 });
    expect(new Set(seedsOf(random.jobs)).size).toBe(2);
  });

  it.each([
    [
      'Prompt S/R',
      'red, green',
      (job: GenerateJob) => job.images[0]?.prompt[0],
      ['a red apple', 'a green apple'],
    ],
    [
      'Prompt order',
      'red, apple',
      (job: GenerateJob) => job.images[0]?.prompt[0],
      ['a red apple', 'a apple red'],
    ],
    [
      'Sampler',
      'Euler, LMS',
      (job: GenerateJob) => JSON.stringify(job.passes[0].sampler).match(/"sampler":"(\w+)"/)?.[1],
      ['euler', 'lms'],
    ],
    ['Clip skip', '1,2', (job: GenerateJob) => job.promptOptions.clipSkip, [1, 2]],
    ['Var. strength', '0,0.5', (job: GenerateJob) => job.noise.subseedStrength, [0, 0.5]],
    ['Size', '64x72, 72x64', (job: GenerateJob) => job.passes[0].size.width, [64, 72]],
    ['RNG source', 'GPU, CPU', (job: GenerateJob) => job.noise.source, ['philox', 'torch-cpu']],
  ] satisfies [string, string, (job: GenerateJob) => unknown, unknown[]][])(
    '%s',
    async (axis, values, read, expected) => {
      const { jobs, status } = await xyz(plot([[axis, values]]));
      expect(status).toBe(200);
      expect(jobs.map((job) => read(job))).toEqual(expected);
    },
  );

  it('takes values from the list where there is one', async () => {
    const { jobs } = await xyz(plot([['Schedule type', '', ['Karras', 'Uniform']]], { text: false }));
    expect(JSON.stringify(jobs[0]?.passes[0].sampler)).toContain('"karras"');
    expect(JSON.stringify(jobs[1]?.passes[0].sampler)).toContain('"uniform"');
  });

  it('takes an empty text for an empty list, and yes and no in words', async () => {
    const args = ['Prompt S/R', 'red, green', '', 0, '', '', 0, '', '', 'false', 'true', 'false', 'false'];
    const { answer, jobs } = await xyz(args);
    expect(promptsOf(jobs)).toEqual(['a red apple', 'a green apple']);
    expect(answer.images).toHaveLength(3);
  });

  it.each([
    ['Sampler', 'Euler, Nobody'],
    ['Checkpoint name', 'nowhere'],
    ['Steps', 'many'],
    ['Prompt S/R', 'a pear, a plum'],
    ['Seed', ''],
  ])('refuses %s: %s before anything runs', async (axis, values) => {
    const { status, jobs } = await xyz(plot([[axis, values]]));
    expect(status).toBe(422);
    expect(jobs).toHaveLength(0);
  });

  it('refuses a face restorer that is not installed before anything runs', async () => {
    const { status, jobs } = await xyz(plot([['Face restore', 'GFPGAN']]));
    expect([status, jobs.length]).toEqual([404, 0]);
  });

  it('refuses grids that are too large, as the original', async () => {
    const { status, answer } = await xyz(plot([['Seed', '1-100']]), { width: 2048, height: 2048 });
    expect([status, answer.error]).toEqual([500, 'AssertionError']);
  });

  it('says where no legend can be written', async () => {
    const { ignored } = await xyz(plot([['Steps', '2,3']], { legend: true }));
    expect(ignored).toContain('script_args.Draw legend');
  });
});

describe('Prompts from file or textbox', () => {
  const lines = (text: string, args: unknown[] = [], body: object = {}) =>
    run('txt2img', {
      prompt: '',
      script_name: 'Prompts from file or textbox',
      script_args: [args[0] ?? false, args[1] ?? false, args[2] ?? 'start', text],
      ...body,
    });

  it('runs each line with its options', async () => {
    const { jobs, answer, info } = await lines(
      [
        'a cat',
        '',
        '--prompt "a dog" --negative_prompt very blurry --steps 7 --width 72 --cfg_scale 3.5 --seed 5',
        '--prompt a hare --batch_size 2',
      ].join('\n'),
    );
    expect(promptsOf(jobs)).toEqual(['a cat', 'a dog', 'a hare', 'a hare']);
    expect(jobs[1]).toMatchObject({
      images: [{ negativePrompt: ['very blurry'], seed: 5n }],
      passes: [{ steps: 7, guidanceScale: 3.5, size: { width: 72, height: 64 } }],
    });
    expect(answer.images).toHaveLength(4);
    expect(info.all_prompts).toEqual(['a cat', 'a dog', 'a hare', 'a hare']);
  });

  it.each(['--colour red --prompt x', '--steps many', "--prompt 'open"])(
    'takes %s for a prompt',
    async (line) => {
      const { jobs } = await lines(line);
      expect(promptsOf(jobs)).toEqual([line]);
    },
  );

  it('counts the seed up line by line, puts lines before or behind the prompt', async () => {
    const { jobs } = await lines('red\nblue', [true, false, 'end'], { prompt: 'a hat', n_iter: 2 });
    expect(promptsOf(jobs)).toEqual(['a hat red', 'a hat red', 'a hat blue', 'a hat blue']);
    expect(seedsOf(jobs)).toEqual([1000, 1001, 1002, 1003]);
    const first = await lines('red\nblue', [false, true], { prompt: 'a hat', seed: -1 });
    expect(promptsOf(first.jobs)).toEqual(['red a hat', 'blue a hat']);
    expect(new Set(seedsOf(first.jobs)).size).toBe(1);
  });

  it('refuses a list without lines', async () => {
    expect((await lines(' \n ')).status).toBe(422);
  });
});

describe('Loopback', () => {
  const loop = (args: unknown[], body: object = {}) =>
    run('img2img', {
      init_images: [init],
      denoising_strength: 0.5,
      script_name: 'Loopback',
      script_args: args,
      ...body,
    });

  it('starts each run from the image of the one before it, a grid in front', async () => {
    const { jobs, answer, info } = await loop([3, 0.9, 'Linear']);
    expect(jobs.map(({ passes: [pass] }) => pass.strength)).toEqual([0.5, 0.7, 0.9]);
    expect(seedsOf(jobs)).toEqual([1000, 1001, 1002]);
    expect(answer.images).toHaveLength(4);
    expect(sizeOf(answer.images[0])).toEqual([192, 64]);
    expect(jobs[2]?.output.metadata?.extra.slice(0, 2)).toEqual([
      ['Final denoising strength', '0.9'],
      ['Denoising curve', 'Linear'],
    ]);
    expect(info.extra_generation_params).toMatchObject({ 'Denoising curve': 'Linear' });
    const starts = await Promise.all(
      jobs.map(async ({ init: start }) =>
        start.from === 'image' && start.images[0] ? blobToBase64(start.images[0]) : '',
      ),
    );
    expect(starts[0]).toBe(init);
    expect(pixelsOf(starts[1]).data).toEqual(pixelsOf(answer.images[1]).data);
    expect(pixelsOf(starts[2]).data).toEqual(pixelsOf(answer.images[2]).data);
  });

  it('returns the last image of each batch, and starts the next from the init image', async () => {
    const { jobs, answer } = await loop([2, 0.5], { n_iter: 2, override_settings: { return_grid: false } });
    expect(jobs).toHaveLength(4);
    expect(answer.images).toHaveLength(2);
  });

  it('keeps the mask; later runs start from what is there', async () => {
    const mask = await blobToBase64(pngOf(64, 64, (x) => (x < 32 ? [255, 255, 255] : [0, 0, 0])));
    const { jobs } = await loop([2], { mask, inpainting_fill: 2 });
    expect(jobs.map(({ init: start }) => start.from === 'masked' && start.fill)).toEqual([
      'latent-noise',
      'original',
    ]);
  });

  it('refuses to ask for a caption where nothing is installed that could describe an image', async () => {
    const { status, jobs } = await loop([2, 0.5, 'Linear', 'CLIP']);
    expect([status, jobs.length]).toEqual([404, 0]);
  });
});

describe('SD upscale', () => {
  it('generates the tiles of the image in batches and puts them together, once for each image', async () => {
    const large = await blobToBase64(pngOf(160, 128, () => [200, 100, 50]));
    const { jobs, answer } = await run('img2img', {
      init_images: [large],
      script_name: 'SD upscale',
      script_args: [null, 16, 0, 2],
      batch_size: 4,
      n_iter: 2,
      seed: 10,
    });
    // 3 × 3 tiles of 64 × 64 in batches of 4, 4 and 1.
    expect(jobs.map(({ images }) => images.length)).toEqual([4, 4, 1, 4, 4, 1]);
    expect(jobs.map(({ images }) => Number(images[0]?.seed))).toEqual([10, 11, 12, 11, 12, 13]);
    expect(answer.images.map(sizeOf)).toEqual([
      [160, 128],
      [160, 128],
    ]);
  });

  it('upscales by an installed network first', async () => {
    const fakeOptions = { addOns: [testAddOn('upscaler', '4x-sharp')] };
    const { answer } = await run(
      'img2img',
      { init_images: [init], script_name: 'SD upscale', script_args: [null, 0, 3, 2], width: 8, height: 8 },
      fakeOptions,
    );
    // The tests' engine makes 16 × 8 of everything.
    expect(answer.images.map(sizeOf)).toEqual([[16, 8]]);
    const unknown = await run('img2img', {
      init_images: [init],
      script_name: 'SD upscale',
      script_args: [null, 0, 'nowhere', 2],
    });
    expect(unknown.status).toBe(422);
  });
});

describe('outpainting', () => {
  it("Poor man's: inpaints the new tiles, and answers with the larger image", async () => {
    const { jobs, answer } = await run('img2img', {
      init_images: [init],
      script_name: "Poor man's outpainting",
      script_args: [32, 4, 'latent noise', ['left', 'right']],
    });
    // Three tiles that overlap by 32; the one in the middle is the init image.
    expect(seedsOf(jobs)).toEqual([1000, 1001]);
    expect(jobs[0]?.init).toMatchObject({
      from: 'masked',
      fill: 'latent-noise',
      area: 'whole',
      blur: { x: 8, y: 8 },
      mask: { latentMask: expect.any(Blob) as Blob },
    });
    expect(answer.images.map(sizeOf)).toEqual([[128, 64]]);
  });

  it('mk2: inpaints side after side, batch after batch', async () => {
    const { jobs, answer } = await run('img2img', {
      init_images: [init],
      script_name: 'Outpainting mk2',
      script_args: [null, 64, 8, ['left', 'up'], 1, 0.05],
      n_iter: 2,
    });
    expect(jobs).toHaveLength(4);
    expect(jobs[0]?.init).toMatchObject({ fill: 'original', blur: { x: 32, y: 32 } });
    // A grid, and an image of each batch.
    expect(answer.images.map(sizeOf)).toEqual([
      [256, 128],
      [128, 128],
      [128, 128],
    ]);
    const corner = pixelsOf(answer.images[1]);
    expect([...corner.data.slice(-corner.channels)]).toEqual([63 * 4, 63 * 4, 128]);
  });
});

describe('scripts', () => {
  it.each(['nobody', 'loopback'])('txt2img has no %s', async (name) => {
    const { status, answer } = await run('txt2img', { script_name: name });
    expect([status, answer.detail]).toEqual([422, `Script '${name}' not found`]);
  });

  it('refuses the alternative test by its name', async () => {
    const { status, answer } = await run('img2img', {
      init_images: [init],
      script_name: 'img2img alternative test',
    });
    expect([status, answer.detail]).toEqual([
      422,
      expect.stringContaining("Script 'img2img alternative test' needs"),
    ]);
  });

  it('refuses those that are run by their name among the always-on ones', async () => {
    const { status, answer } = await run('txt2img', { alwayson_scripts: { 'X/Y/Z plot': { args: [] } } });
    expect([status, answer.detail]).toEqual([
      422,
      'Cannot have a selectable script in the always on scripts params',
    ]);
  });

  it('lists them with their arguments, whose defaults run', async () => {
    const api = createApi(createFakeHost());
    const lists = await jsonOf<Record<string, string[]>>(api.request('/sdapi/v1/scripts'));
    expect(lists['txt2img']).toEqual(
      expect.arrayContaining(['prompt matrix', 'prompts from file or textbox', 'x/y/z plot']),
    );
    expect(lists['img2img']).toEqual(
      expect.arrayContaining(['loopback', 'outpainting mk2', "poor man's outpainting", 'sd upscale']),
    );
    const infos = await jsonOf<
      { name: string; is_img2img: boolean; is_alwayson: boolean; args: { value: unknown }[] }[]
    >(api.request('/sdapi/v1/script-info'));
    const looped = infos.find(({ name }) => name === 'loopback');
    expect(looped).toMatchObject({
      is_alwayson: false,
      is_img2img: true,
      args: [
        { label: 'Loops', value: 4, minimum: 1, maximum: 32, step: 1 },
        {},
        { choices: ['Aggressive', 'Linear', 'Lazy'] },
        {},
      ],
    });
    const { jobs } = await run('img2img', {
      init_images: [init],
      script_name: 'loopback',
      script_args: looped?.args.map(({ value }) => value),
    });
    expect(jobs).toHaveLength(4);
  });

  it('counts the batches of all runs; an interrupt ends the last of them', async () => {
    // The second run lasts seconds, so that it is still there when the interrupt comes.
    const fake = createFakeHost({ stepMs: 30 });
    const api = createApi(fake);
    const answered = post(api, '/sdapi/v1/txt2img', {
      ...SMALL,
      prompt: '',
      steps: 100,
      script_name: 'Prompts from file or textbox',
      script_args: [false, false, 'start', 'a\nb\nc'],
    });
    await expect.poll(() => fake.jobs.length).toBe(2);
    await expect.poll(async () => (await progressOf(api)).state).toMatchObject({ job_count: 3, job_no: 1 });
    await post(api, '/sdapi/v1/interrupt', {});
    const response = await answered;
    expect(response.status).toBe(200);
    expect(fake.jobs.length).toBe(2);
  });

  it('is not begun a second time when the service worker is killed and the fetch starts again', async () => {
    const fake = createFakeHost();
    const never = new Promise<never>(() => undefined);
    const killing = Promise.withResolvers<undefined>();
    let submitted = 0;
    // It is killed when its second job has been accepted.
    const untilKilled = new Proxy({} as ApiHost, {
      get:
        (_, name: keyof ApiHost) =>
        async (...values: unknown[]): Promise<unknown> => {
          if (submitted === 2) return never;
          const answer = await (fake.host[name] as (...values: unknown[]) => unknown)(...values);
          if (name === 'submit' && ++submitted === 2) killing.resolve(undefined);
          return answer;
        },
    });
    const body = {
      ...SMALL,
      prompt: '',
      script_name: 'Prompts from file or textbox',
      script_args: [false, false, 'start', 'a\nb\nc'],
    };
    const killed = createApi({
      connect: () => Promise.resolve({ host: untilKilled, ended: never }),
    });
    void post(killed, '/sdapi/v1/txt2img', body);
    await killing.promise;
    const answer = await jsonOf<Txt2imgAnswer>(post(createApi(fake), '/sdapi/v1/txt2img', body));
    expect(answer.images).toHaveLength(3);
    expect(promptsOf(fake.jobs)).toEqual(['a', 'b', 'c']);
  });
});

describe('between two runs', () => {
  /** A script that stands where its first run has ended, until its host is let go on. */
  async function untilFirstRunEnded() {
    const fake = createFakeHost();
    const [first, goOn] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    // A host that is slow to hand over images.
    const host = new Proxy(fake.host, {
      get: (target, name: keyof ApiHost) =>
        name === 'images'
          ? async (id: string) => {
              first.resolve(undefined);
              await goOn.promise;
              return target.images(id);
            }
          : target[name],
    });
    const api = createApi({
      connect: () => Promise.resolve({ host, ended: new Promise<void>(() => undefined) }),
    });
    const answered = post(api, '/sdapi/v1/txt2img', {
      ...SMALL,
      script_name: 'Prompts from file or textbox',
      script_args: [false, false, 'start', 'a\nb\nc'],
      force_task_id: 'mine',
    });
    await first.promise;
    return { api, fake, answered, goOn: () => goOn.resolve(undefined) };
  }

  it('holds its place', async () => {
    const { api, fake, answered, goOn } = await untilFirstRunEnded();
    expect(await progressOf(api)).toMatchObject({
      state: { job: 'Batch 1 out of 3', job_count: 3, job_no: 0, interrupted: false },
    });
    expect(await jsonOf(post(api, '/internal/progress', { id_task: 'mine' }))).toMatchObject({
      active: true,
      queued: false,
      completed: false,
    });
    goOn();
    expect((await answered).status).toBe(200);
    expect(fake.jobs).toHaveLength(3);
    expect(await progressOf(api)).toMatchObject({ progress: 0, state: { job: '', job_count: 0 } });
    expect(await jsonOf(post(api, '/internal/progress', { id_task: 'mine' }))).toMatchObject({
      active: false,
      completed: true,
    });
  });

  it('is ended by an interrupt, and answers with what there is', async () => {
    const { api, fake, answered, goOn } = await untilFirstRunEnded();
    expect(await jsonOf(post(api, '/sdapi/v1/interrupt'))).toEqual({});
    expect(await progressOf(api)).toMatchObject({ state: { job_count: 3, interrupted: true } });
    goOn();
    const answer = await jsonOf<Txt2imgAnswer>(answered);
    expect(answer.images).toHaveLength(1);
    expect(fake.jobs).toHaveLength(1);
    expect(await progressOf(api)).toMatchObject({ state: { job_count: 0, interrupted: false } });
  });
});

describe('results that no run has made are in the gallery', () => {
  /** The images of all jobs of the host that has answered. */
  async function gallery(route: 'txt2img' | 'img2img', body: object) {
    const fake = createFakeHost();
    const response = await post(createApi(fake), `/sdapi/v1/${route}`, { ...SMALL, ...body });
    expect(response.status).toBe(200);
    const { images } = await jsonOf<Txt2imgAnswer>(response);
    const stored = await Promise.all((await fake.host.jobs()).map(({ id }) => fake.host.images(id)));
    return { answered: images, stored: stored.flat() };
  }

  it.each([
    ['SD upscale', [null, 16, 'None', 2], '64x64'],
    ["Poor man's outpainting", [32, 0, 'fill', ['right']], '128x64'],
    ['Outpainting mk2', [null, 64, 0, ['right']], '128x64'],
  ])('%s: the image, and not its parts', async (name, args, size) => {
    const { answered, stored } = await gallery('img2img', {
      init_images: [init],
      script_name: name,
      script_args: args,
    });
    expect(stored.map(({ width, height }) => `${width}x${height}`)).toEqual([size]);
    expect(stored[0]).toMatchObject({ seed: '1000', prompt: SMALL.prompt });
    expect(await blobToBase64(stored[0]?.blob ?? new Blob())).toBe(answered[0]);
  });

  const steps = ['Steps', '2,3', [], 0, '', [], 0, '', [], false];

  it('a grid besides the images that it is made of', async () => {
    const { stored } = await gallery('txt2img', { script_name: 'X/Y/Z plot', script_args: steps });
    expect(stored.map(({ width }) => width)).toEqual([64, 64, 128]);
    expect(stored[2]?.infotext).toContain('Script: X/Y/Z plot');
    const matrix = await gallery('txt2img', { prompt: 'a tree|snow', script_name: 'Prompt matrix' });
    expect(matrix.stored.map(({ width }) => width)).toEqual([64, 64, 128]);
  });

  it('no grid where the option grid_save is off', async () => {
    const { answered, stored } = await gallery('txt2img', {
      script_name: 'X/Y/Z plot',
      script_args: steps,
      override_settings: { grid_save: false },
    });
    expect([answered.length, stored.length]).toEqual([1, 2]);
  });
});

it('a script whose request is sent again goes on with the random seed that it had', async () => {
  const fake = createFakeHost();
  let begun = 0;
  const stopped = createApi({
    connect: async () => {
      const connection = await fake.connect();
      // Its service worker is stopped while the first run is under way: nothing comes after it.
      const host: ApiHost = Object.assign(Object.create(connection.host) as ApiHost, {
        wait: () => {
          begun++;
          return new Promise<never>(() => undefined);
        },
      });
      return { ...connection, host };
    },
  });
  const body = {
    ...SMALL,
    seed: -1,
    script_name: 'Loopback',
    script_args: [3, 0.5, 'Linear', 'None'],
    init_images: [init],
  };
  void post(stopped, '/sdapi/v1/img2img', body);
  await waitFor(() => {
    expect(begun).toBe(1);
  });
  const response = await post(createApi(fake), '/sdapi/v1/img2img', body);
  expect(response.status).toBe(200);
  expect(fake.jobs).toHaveLength(3);
  const [first = NaN, ...others] = seedsOf(fake.jobs);
  expect(others).toEqual([first + 1, first + 2]);
  // A request of its own has a seed of its own.
  await post(createApi(fake), '/sdapi/v1/img2img', body);
  expect(seedsOf(fake.jobs)[3]).not.toBe(first);
});
