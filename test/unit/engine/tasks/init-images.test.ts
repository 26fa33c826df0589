import { afterAll, describe, expect, test } from 'vitest';
import { imageInit } from '../../../support/inits.ts';
import { difference, jobFrom, openInitEngine, photo } from '../../../support/init-engine.ts';
import { pngOf } from '../../../support/images.ts';

const { engine, installed, run, one } = await openInitEngine();
afterAll(() => engine.unload());

const NOTHING_RUN = { steps: 1, strength: 0, exactSteps: true };

describe('an init image', () => {
  test('is all there is at strength 0, but for what the VAE changes', async () => {
    const first = await one(jobFrom(imageInit([photo()]), NOTHING_RUN));
    const again = await one(jobFrom(imageInit([photo()]), { ...NOTHING_RUN, guidanceScale: 9 }));
    expect(difference(first, again)).toBe(0);
    const other = await one(jobFrom(imageInit([pngOf(64, 64, () => [200, 40, 40])]), NOTHING_RUN));
    expect(difference(first, other)).toBeGreaterThan(0.5);
  });

  test('gives the same image for the same seed, and another for another strength', async () => {
    const [a, b, c] = [
      await one(jobFrom(imageInit([photo()]))),
      await one(jobFrom(imageInit([photo()]))),
      await one(jobFrom(imageInit([photo()]), { strength: 0.3, steps: 4 })),
    ];
    expect(difference(a, b)).toBe(0);
    expect(difference(a, c)).toBeGreaterThan(0.5);
    expect(c.infotext).toContain('Denoising strength: 0.3');
  });

  test('is brought to the size of its pass in four ways', async () => {
    const tall = photo(40, 96);
    const made = [];
    for (const fit of ['stretch', 'crop', 'fill', 'latent'] as const) {
      made.push(
        await one(jobFrom(imageInit([tall], { fit }), { ...NOTHING_RUN, size: { width: 72, height: 64 } })),
      );
    }
    for (const [index, image] of made.entries()) {
      expect(image).toMatchObject({ width: 72, height: 64 });
      for (const other of made.slice(index + 1)) expect(difference(image, other)).toBeGreaterThan(0.1);
    }
  });

  test('is resized by an upscaler where one is named', async () => {
    const small = photo(24, 24);
    const plain = await one(jobFrom(imageInit([small]), NOTHING_RUN));
    const upscaled = await one(jobFrom(imageInit([small], { resizeBy: 'tiny-2x' }), NOTHING_RUN));
    expect(difference(plain, upscaled)).toBeGreaterThan(0.1);
    const none = await one(jobFrom(imageInit([small], { resizeBy: 'None' }), NOTHING_RUN));
    expect(difference(plain, none)).toBe(0);
  });

  test('is cut around the middle by the rules of Fooocus, after it was resized', async () => {
    const size = { width: 64, height: 64 };
    const init = imageInit([photo(70, 70)], { rules: 'fooocus' });
    const cut = await one(jobFrom(init, { ...NOTHING_RUN, size, resizeTo: { width: 70, height: 70 } }));
    const resized = await one(jobFrom(init, { ...NOTHING_RUN, size }));
    expect(difference(cut, resized)).toBeGreaterThan(0.1);
  });

  test('may be one for each place in a batch, in every batch', async () => {
    const [red, blue] = [pngOf(64, 64, () => [220, 30, 30]), pngOf(64, 64, () => [30, 30, 220])];
    const images = [1n, 2n, 3n, 4n].map((seed) => ({
      prompt: ['waves'],
      negativePrompt: [''],
      seed,
      subseed: 0n,
    }));
    const job = jobFrom(imageInit([red, blue]), NOTHING_RUN, { images, batchSize: 2 });
    const [a, b, c, d] = await run(job);
    if (!a || !b || !c || !d) throw new Error('Images are missing.');
    expect(difference(a, c)).toBe(0);
    expect(difference(b, d)).toBe(0);
    expect(difference(a, b)).toBeGreaterThan(0.5);
    const three = { ...job, init: imageInit([red, blue, blue]) };
    await expect(run(three)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('gets as much noise as asked for', async () => {
    const { noise } = jobFrom(imageInit([photo()]));
    const changed = (changes: Partial<typeof noise>) =>
      one(jobFrom(imageInit([photo()]), {}, { noise: { ...noise, ...changes } }));
    const plain = await changed({});
    expect(difference(plain, await changed({ initialMultiplier: 1, extra: 0 }))).toBe(0);
    expect(difference(plain, await changed({ initialMultiplier: 0.5 }))).toBeGreaterThan(0.5);
    expect(difference(plain, await changed({ extra: 0.6 }))).toBeGreaterThan(0.5);
  });

  test('gives the result its colours', async () => {
    const init = imageInit([pngOf(64, 64, (x) => [200 + (x % 32), 60, 20])], { colorCorrection: true });
    const corrected = await one(jobFrom(init));
    const plain = await one(jobFrom({ ...init, colorCorrection: false }));
    const redness = ({ data }: { data: ArrayLike<number> }) => {
      let sum = 0;
      for (let i = 0; i < data.length; i += 3) sum += (data[i] ?? 0) - (data[i + 2] ?? 0);
      return (sum * 3) / data.length;
    };
    expect(redness(corrected)).toBeGreaterThan(redness(plain) + 20);
  });

  test('of one pixel works; one that has no latent cell cannot be stretched in latents', async () => {
    const dot = pngOf(1, 1, () => [10, 200, 90]);
    for (const rules of ['a1111', 'diffusers', 'fooocus'] as const) {
      expect(await one(jobFrom(imageInit([dot], { rules }), NOTHING_RUN))).toMatchObject({
        width: 64,
        height: 64,
      });
    }
    await expect(run(jobFrom(imageInit([dot], { fit: 'latent' })))).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('at least 8 × 8') as string,
    });
  });

  test('that is transparent lies on white', async () => {
    const clear = pngOf(64, 64, () => [0, 0, 0, 0]);
    const white = pngOf(64, 64, () => [255, 255, 255]);
    const [a, b] = [await one(jobFrom(imageInit([clear]))), await one(jobFrom(imageInit([white])))];
    expect(difference(a, b)).toBe(0);
  });
});

describe('hires fix', () => {
  const first = jobFrom({ from: 'noise' }, { strength: 1 });
  const hires = (changes: object) => ({
    ...first,
    passes: [
      first.passes[0],
      { ...first.passes[0], size: { width: 96, height: 80 }, strength: 0.5, exactSteps: true, ...changes },
    ] as const,
  });

  test('goes on from latents in each of A1111’s modes, or from an image by a resizer or a network', async () => {
    const made = [];
    for (const resizeBy of [
      'Latent',
      'Latent (bicubic antialiased)',
      'Latent (nearest-exact)',
      'Lanczos',
      'Nearest',
      'tiny-2x',
    ]) {
      const image = await one(hires({ resizeBy }));
      expect(image).toMatchObject({ width: 96, height: 80 });
      for (const other of made) expect(difference(image, other), resizeBy).toBeGreaterThan(0.01);
      made.push(image);
    }
    expect(difference(await one(hires({})), await one(hires({ resizeBy: 'None' })))).toBe(0);
  });

  test.each(['Latent', 'Lanczos'])(
    'cuts what goes beyond the size around the middle: %s',
    async (resizeBy) => {
      const resizeTo = { width: 128, height: 96 };
      const cut = await one(hires({ resizeBy, resizeTo }));
      expect(cut).toMatchObject({ width: 96, height: 80 });
      expect(difference(cut, await one(hires({ resizeBy })))).toBeGreaterThan(0.1);
      await expect(run(hires({ resizeBy, resizeTo: { width: 88, height: 96 } }))).rejects.toMatchObject({
        code: 'invalid_request',
      });
    },
  );

  test('may have prompts of its own', async () => {
    const own = (prompt: string) =>
      hires({ prompts: [{ prompt: [prompt], negativePrompt: [''] }], guidanceScale: 7 });
    const [same, other, plain] = [
      await one(own('waves')),
      await one(own('a red brick wall')),
      await one(hires({ guidanceScale: 7 })),
    ];
    expect(difference(same, plain)).toBe(0);
    expect(difference(other, plain)).toBeGreaterThan(0.01);
    expect(other.infotext).toMatch(/^waves\n/);
  });

  test('makes the image of the first pass no sooner than it is needed', async () => {
    const phases: string[] = [];
    await engine.run(installed, hires({ resizeBy: 'Latent' }), (event) => {
      if (event.type === 'progress') phases.push(`${event.progress.phase} ${event.progress.pass}`);
    });
    expect(phases).toContain('decoding 1');
    expect(phases).not.toContain('decoding 0');
  });
});
