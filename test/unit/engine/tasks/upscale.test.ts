import { describe, expect, it } from 'vitest';
import { encodePng, decodePng } from '#codecs/png.ts';
import { readPngText } from '#codecs/png-text.ts';
import { buildRrdbNet } from '#engine/architectures/rrdb-net.ts';
import { createDevice } from '#engine/models/device.ts';
import { createModels } from '#engine/models/models.ts';
import { createUpscalers, type Upscalers } from '#engine/models/upscalers.ts';
import { placeTile, planTiles } from '#engine/stages/post/upscale-tiles.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import { runJob } from '#engine/tasks/index.ts';
import { createPixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { EngineEvent } from '#protocol/engine-worker.ts';
import type { GeneratedImage, UpscaleJob, UpscaleStep } from '#protocol/job.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { addOnPack, engineFor, generate } from '../../../support/tiny-packs.ts';
import { tinyUpscaler, tinyUpscalerFile } from '../../../support/tiny-upscaler.ts';

const fourTimes = await addOnPack('upscaler', 'tiny-4x', await tinyUpscalerFile(4));
const twice = await addOnPack('upscaler', 'tiny-2x', await tinyUpscalerFile(2));
const once = await addOnPack('upscaler', 'tiny-1x', await tinyUpscalerFile(1));
const addOns = [fourTimes, twice, once];
const engine = engineFor(addOns);

/** A result with soft colours everywhere and an edge in the middle. */
function imageOf(width: number, height: number, texts: Record<string, string> = {}): Blob {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      data[at] = 128 + 100 * Math.sin(x / 7);
      data[at + 1] = 128 + 100 * Math.cos(y / 5);
      data[at + 2] = x < width / 2 ? 200 : 40;
    }
  }
  return new Blob([encodePng({ width, height, channels: 3, data }, texts)]);
}

/** A job of one step, on one image unless there are others. */
function upscale({
  image = imageOf(40, 24),
  sources = [{ image }],
  output = { format: 'png', quality: 1, texts: true },
  ...step
}: Partial<Omit<UpscaleStep, 'kind'> & Pick<UpscaleJob, 'sources' | 'output'>> & {
  image?: Blob;
}): UpscaleJob {
  return {
    task: 'upscale',
    sources,
    post: [{ kind: 'upscale', upscaler: 'Lanczos', size: { factor: 2 }, ...step }],
    output,
  };
}

async function upscaleOne(job: UpscaleJob): Promise<GeneratedImage & { png: Uint8Array }> {
  const { images, pngs } = await generate(engine, null, job, addOns);
  if (!images[0] || !pngs[0]) throw new Error('No result came of the job.');
  return { ...images[0], png: pngs[0] };
}

const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());
const pixelsOf = ({ png }: { png: Uint8Array }) => decodePng(png);

describe('sizes', () => {
  it.each([
    ['Lanczos', { factor: 2 }, 80, 48],
    ['Nearest', { factor: 1.5 }, 56, 32],
    ['Lanczos', { factor: 0.5 }, 16, 8],
    ['None', { factor: 4 }, 40, 24],
    ['tiny-4x', { factor: 4 }, 160, 96],
    ['tiny-4x', { factor: 2 }, 80, 48],
    ['tiny-4x', { factor: 8 }, 320, 192],
    ['tiny-2x', { factor: 4 }, 160, 96],
    ['tiny-1x', { factor: 2 }, 80, 48],
    ['Nearest', { width: 100, height: 90, crop: true }, 100, 90],
    ['Nearest', { width: 100, height: 90, crop: false }, 144, 88],
    ['tiny-2x', { width: 51, height: 51, crop: true }, 51, 51],
  ] as const)('%s to %j', async (upscaler, size, width, height) => {
    const result = await upscaleOne(upscale({ upscaler, size }));
    const pixels = pixelsOf(result);
    expect([result.width, result.height]).toEqual([width, height]);
    expect([pixels.width, pixels.height]).toEqual([width, height]);
  });

  it.each([
    ['Nearest', 400, 'the limit is 64 megapixels'],
    // Twice by four: the result on the way is 16 times as large.
    ['tiny-4x', 300, 'the limit is 64 megapixels'],
    ['Lanczos', 0.1, 'a side below 8 pixels'],
  ])('%s by %d is refused', async (upscaler, factor, message) => {
    await expect(upscaleOne(upscale({ upscaler, size: { factor } }))).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(message) as string,
    });
  });
});

it('crops the middle out of what covers the size', async () => {
  const size = { width: 24, height: 24, crop: true };
  const pixels = pixelsOf(await upscaleOne(upscale({ upscaler: 'Nearest', size })));
  const source = decodePng(await bytesOf(imageOf(40, 24)));
  const rows = Array.from({ length: 24 }, (_, y) => [
    ...source.data.subarray((y * 40 + 8) * 3, (y * 40 + 32) * 3),
  ]);
  expect([...pixels.data]).toEqual(rows.flat());
});

it('repeats pixels with Nearest', async () => {
  const image = imageOf(16, 8);
  const source = decodePng(await bytesOf(image));
  const { data, width } = pixelsOf(
    await upscaleOne(upscale({ image, upscaler: 'Nearest', size: { factor: 3 } })),
  );
  for (const [x, y] of [
    [0, 0],
    [31, 17],
    [47, 23],
  ] as const) {
    const from = (Math.floor(y / 3) * 16 + Math.floor(x / 3)) * 3;
    const at = (y * width + x) * 3;
    expect([...data.subarray(at, at + 3)]).toEqual([...source.data.subarray(from, from + 3)]);
  }
});

describe('with a network', () => {
  /** What the network itself says of a result in one piece, 0 … 255, and how far the job's result is from it. */
  async function compareWithWhole(image: Blob) {
    const { data } = pixelsOf(await upscaleOne(upscale({ image, upscaler: 'tiny-4x', size: { factor: 4 } })));
    const { width, height, data: source } = decodePng(await bytesOf(image));
    const area = width * height;
    const planes = Float32Array.from(
      { length: 3 * area },
      (_, i) => (source[(i % area) * 3 + Math.floor(i / area)] ?? 0) / 255,
    );
    const weights = tinyUpscaler(4);
    const session = await openGraph(buildRrdbNet({ scale: 4 }, { weights }), weights, {});
    const { upscaled } = await session.run({ image: { data: planes, shape: [1, 3, height, width] } });
    await session.release();
    const whole = Float32Array.from(data, (_, i) => {
      const value = upscaled?.data[(i % 3) * 16 * area + Math.floor(i / 3)] ?? NaN;
      return Math.min(255, Math.max(0, value * 255));
    });
    return { whole, differences: whole.map((value, i) => Math.abs(value - (data[i] ?? NaN))) };
  }

  it('gives what the network says of the result', async () => {
    const { whole, differences } = await compareWithWhole(imageOf(40, 24));
    expect(new Set(whole.map(Math.round)).size).toBeGreaterThan(50);
    // Rounded to bytes.
    expect(Math.max(...differences)).toBeLessThanOrEqual(0.501);
  });

  it('works in tiles that leave no seams', async () => {
    const { differences } = await compareWithWhole(imageOf(150, 100));
    const mostly = differences.filter((difference) => difference <= 0.501).length / differences.length;
    expect(mostly).toBeGreaterThan(0.6);
    expect(differences.reduce((largest, difference) => Math.max(largest, difference), 0)).toBeLessThan(6);
  });

  it('runs it again while the result is too small, and not at all where none is asked for', async () => {
    const steps = async (job: UpscaleJob) => {
      const seen: number[] = [];
      await engine.run(
        addOns.map(({ pack }) => pack),
        job,
        (event) => {
          if (event.type === 'progress') seen.push(event.progress.steps);
        },
      );
      return Math.max(...seen);
    };
    const image = imageOf(16, 16);
    const by = (upscaler: string, factor: number) => upscale({ image, upscaler, size: { factor } });
    expect(await steps(by('tiny-2x', 2))).toBe(1);
    // 16 to 32, 64 and 128 pixels: one tile each.
    expect(await steps(by('tiny-2x', 8))).toBe(3);
    expect(await steps(by('tiny-4x', 1))).toBe(1);
    expect(await steps(by('Lanczos', 4))).toBe(0);
  });

  it('says which upscaler is not installed', async () => {
    await expect(upscaleOne(upscale({ upscaler: 'elsewhere' }))).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'The upscaler “elsewhere” is not installed. Install it in Models, or choose another.',
    });
  });
});

it('takes smaller tiles where memory runs out', async () => {
  const runtime = await openNodeRuntime();
  const real = createUpscalers(runtime);
  const sides = new Set<number>();
  /** The network on a device that has room for 40 × 40 pixels. */
  const confined: Upscalers = {
    ...real,
    load: async (packs, opened) =>
      (await real.load(packs, opened)).map((loaded) => ({
        ...loaded,
        session: {
          ...loaded.session,
          run(inputs) {
            const side = Math.max(...(inputs['image']?.dims.slice(2) ?? []));
            sides.add(side);
            if (side <= 40) return loaded.session.run(inputs);
            return Promise.reject(new AppError('out_of_memory', 'There is no more memory.'));
          },
        },
      })),
  };
  const widths: number[] = [];
  const filesOf = () => (path: string) => Promise.resolve(fourTimes.files[path]);
  const job = upscale({ image: imageOf(96, 64), upscaler: 'tiny-4x', size: { factor: 4 } });
  const run = createRunContext(
    { ...createDevice(runtime, createModels(runtime, filesOf)), upscalers: confined },
    job,
    [fourTimes.pack],
    filesOf,
    { cancelled: false, skipped: false },
    (event) => {
      if (event.type === 'artifact') widths.push(event.artifact.image.width);
    },
  );
  await runJob(run, job);
  expect(widths).toEqual([384]);
  expect([...sides].every((side) => side <= 64)).toBe(true);
  expect([...sides].at(-1)).toBeLessThanOrEqual(32);
  await runtime.close();
});

it('lays the second upscaler over the first', async () => {
  const of = async (job: Partial<UpscaleStep>) => pixelsOf(await upscaleOne(upscale(job))).data;
  const first = await of({ upscaler: 'tiny-4x' });
  const second = await of({ upscaler: 'Nearest' });
  const both = await of({ upscaler: 'tiny-4x', second: { upscaler: 'Nearest', visibility: 0.25 } });
  const expected = first.map((value, i) => Math.floor(value + 0.25 * ((second[i] ?? 0) - value)));
  expect([...both]).toEqual([...expected]);
  expect([...both]).not.toEqual([...first]);
  const hidden = await of({ upscaler: 'tiny-4x', second: { upscaler: 'Nearest', visibility: 0 } });
  expect([...hidden]).toEqual([...first]);
});

describe('texts', () => {
  const parameters =
    'a cat\nNegative prompt: dog\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 42, Size: 40x24';

  it('keeps those of the source and adds its own', async () => {
    const image = imageOf(40, 24, { Software: 'something', parameters });
    const result = await upscaleOne(
      upscale({ image, upscaler: 'tiny-4x', second: { upscaler: 'Lanczos', visibility: 1 } }),
    );
    const postprocessing =
      'Postprocess upscale by: 2, Postprocess upscaler: tiny-4x, Postprocess upscaler 2: Lanczos';
    expect(await readPngText(result.png)).toEqual({
      Software: 'something',
      parameters,
      postprocessing,
    });
    expect(result).toMatchObject({
      prompt: ['a cat'],
      negativePrompt: ['dog'],
      seed: 42n,
      infotext: `${parameters}, ${postprocessing}`,
    });
  });

  it('tells of sizes and crops', async () => {
    const size = { width: 64, height: 64, crop: true };
    const { infotext } = await upscaleOne(upscale({ size }));
    expect(infotext).toBe(
      'Postprocess upscale to: 64x64, Postprocess crop to: 64x64, Postprocess upscaler: Lanczos',
    );
  });

  it('writes none where none are wanted, and believes what is known of a result', async () => {
    const known = { prompt: 'a red cat', seed: 7n, infotext: 'a red cat\nSteps: 1, Sampler: Euler, Seed: 7' };
    const image = imageOf(40, 24, { parameters });
    const result = await upscaleOne(
      upscale({ sources: [{ image, known }], output: { format: 'png', quality: 1, texts: false } }),
    );
    expect(await readPngText(result.png)).toEqual({});
    expect(result).toMatchObject({ prompt: ['a red cat'], seed: 7n });
    expect(result.infotext).toContain('Seed: 7, Postprocess upscale by: 2');
  });
});

it('refuses what is no image', async () => {
  await expect(upscaleOne(upscale({ image: new Blob(['no result']) }))).rejects.toMatchObject({
    code: 'invalid_request',
  });
});

describe('stopping', () => {
  const three = () => Array.from({ length: 3 }, () => ({ image: imageOf(120, 120) }));

  async function stopAfter(act: () => void, isTime: (event: EngineEvent) => boolean) {
    const indices: number[] = [];
    let acted = false;
    let tiles = 0;
    const job = upscale({ sources: three(), upscaler: 'tiny-4x', size: { factor: 4 } });
    const outcome = await engine.run([fourTimes.pack], job, (event) => {
      if (event.type === 'artifact') indices.push(event.artifact.image.index);
      if (event.type === 'progress' && event.progress.step > 0) tiles++;
      if (acted || !isTime(event)) return;
      acted = true;
      act();
    });
    return { outcome, tiles, indices };
  }

  const inSecond = (event: EngineEvent) =>
    event.type === 'progress' && event.progress.image === 1 && event.progress.step === 2;

  it('ends between two tiles and keeps the finished images', async () => {
    const { outcome, tiles, indices } = await stopAfter(() => engine.cancel(), inSecond);
    expect(outcome.interrupted).toBe(true);
    expect(indices).toEqual([0]);
    // Nine of the first result, two of the second, and what is told once more when a result is finished.
    expect(tiles).toBeLessThan(14);
  });

  it('skips one result', async () => {
    const { outcome, indices } = await stopAfter(() => engine.skip(), inSecond);
    expect(outcome.interrupted).toBe(false);
    expect(indices).toEqual([0, 2]);
  });
});

it('places overlapping tiles so that equal ones give an even result', () => {
  const size = { width: 100, height: 50 };
  const tiles = planTiles(size, 32, 4);
  expect(
    tiles.every(({ left, top, width, height }) => [left, top, width, height].every((n) => n % 4 === 0)),
  ).toBe(true);
  const output = createPixels({ width: 200, height: 100 }, 3);
  for (const tile of tiles) {
    const [width, height] = [tile.width * 2, tile.height * 2];
    placeTile(
      { channels: 3, width, height, data: new Float32Array(3 * width * height).fill(0.6) },
      tile,
      2,
      output,
    );
  }
  expect(new Set(output.data)).toEqual(new Set([153]));
});
