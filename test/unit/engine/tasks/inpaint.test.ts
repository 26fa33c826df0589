import { afterAll, describe, expect, test } from 'vitest';
import type { GenerateJob, MaskedInit, Pass } from '#protocol/job.ts';
import { imageInit, maskedInit, SOFT } from '../../../support/inits.ts';
import { pngOf } from '../../../support/images.ts';
import {
  difference,
  differenceWhere,
  jobFrom,
  openInitEngine,
  photo,
  pixelsOf,
} from '../../../support/init-engine.ts';

const { engine, run, one } = await openInitEngine();
afterAll(() => engine.unload());

/** White in the middle. */
const inMiddle = (x: number, y: number) => x >= 24 && x < 40 && y >= 20 && y < 44;
const MASK = pngOf(64, 64, (x, y) => (inMiddle(x, y) ? [255, 255, 255] : [0, 0, 0]));
const PLAIN = pngOf(64, 64, (x) => (x < 32 ? [0, 0, 0] : [255, 255, 255]));

const inpaint = (changes: Partial<MaskedInit> = {}, pass: Partial<Pass> = {}): GenerateJob =>
  jobFrom(maskedInit([photo()], MASK, { overlay: true, ...changes }), pass);

describe('outside of the mask the result is the init image itself', () => {
  const original = pixelsOf(photo());
  /** Far enough from the mask for every blur below. */
  const isFar = (x: number, y: number) => x < 12 || x >= 52 || y < 8 || y >= 56;

  test.each([
    ['A1111', { rules: 'a1111' }],
    ['A1111 with a blurred mask', { rules: 'a1111', blur: { x: 4, y: 2 } }],
    ['A1111, only masked', { rules: 'a1111', area: { padding: 4 }, blur: { x: 2, y: 2 } }],
    ['diffusers', { rules: 'diffusers' }],
    ['diffusers with padding', { rules: 'diffusers', area: { padding: 4 } }],
  ] as const)('%s', async (_, changes) => {
    const image = await one(inpaint(changes));
    expect(differenceWhere(image, await original, isFar)).toBe(0);
    expect(differenceWhere(image, await original, inMiddle)).toBeGreaterThan(5);
  });

  test('Fooocus', async () => {
    // Its masks fade over 32 pixels.
    const big = photo(160, 144);
    const mask = pngOf(160, 144, (x, y) => (x < 40 && y < 40 ? [255, 255, 255] : [0, 0, 0]));
    const init = maskedInit([big], mask, { rules: 'fooocus', area: { field: 0.3 }, overlay: true });
    const image = await one(jobFrom(init));
    expect(image).toMatchObject({ width: 160, height: 144 });
    const own = await pixelsOf(big);
    expect(differenceWhere(image, own, (x, y) => x > 73 || y > 73)).toBe(0);
    expect(differenceWhere(image, own, (x, y) => x < 40 && y < 40)).toBeGreaterThan(5);
  });

  test('also at another size than that of the pass, where only the masked area is generated', async () => {
    const big = photo(200, 120);
    const mask = pngOf(200, 120, (x) => (x >= 100 && x < 130 ? [255, 255, 255] : [0, 0, 0]));
    for (const rules of ['a1111', 'diffusers'] as const) {
      const image = await one(
        jobFrom(maskedInit([big], mask, { rules, overlay: true, area: { padding: 8 } })),
      );
      expect(image).toMatchObject({ width: 200, height: 120 });
      const own = await pixelsOf(big);
      expect(differenceWhere(image, own, (x) => x < 100 || x >= 130)).toBe(0);
      expect(differenceWhere(image, own, (x) => x >= 100 && x < 130)).toBeGreaterThan(5);
    }
  });
});

describe('the mask', () => {
  test('without an overlay only holds in the latents', async () => {
    const job = inpaint({ overlay: false });
    const plain = await one(job);
    expect(differenceWhere(plain, await pixelsOf(photo()), (x) => x < 12)).toBeGreaterThan(0.5);
    const latentOnly = await one(
      inpaint({ mask: { kind: 'image', mask: MASK, invert: false, latentOnly: true } }),
    );
    expect(difference(plain, latentOnly)).toBe(0);
  });

  test('can be inverted, and be the alpha of an image', async () => {
    const inverted = pngOf(64, 64, (x, y) => (inMiddle(x, y) ? [0, 0, 0] : [255, 255, 255]));
    const alpha = pngOf(64, 64, (x, y) => [90, 90, 90, inMiddle(x, y) ? 255 : 0]);
    const plain = await one(inpaint());
    const byInverse = await one(inpaint({ mask: { kind: 'image', mask: inverted, invert: true } }));
    const byAlpha = await one(inpaint({ mask: { kind: 'image', mask: alpha, invert: false } }));
    expect(difference(plain, byInverse)).toBe(0);
    expect(difference(plain, byAlpha)).toBe(0);
    const other = await one(inpaint({ mask: { kind: 'image', mask: MASK, invert: true } }));
    expect(difference(plain, other)).toBeGreaterThan(1);
  });

  test('grows and shrinks', async () => {
    const grown = await one(
      inpaint({ mask: { kind: 'image', mask: MASK, invert: false, erodeOrDilate: 6 } }),
    );
    const shrunk = await one(
      inpaint({ mask: { kind: 'image', mask: MASK, invert: false, erodeOrDilate: -6 } }),
    );
    const own = await pixelsOf(photo());
    const isRim = (x: number, y: number) => x >= 20 && x < 24 && y >= 20 && y < 44;
    expect(differenceWhere(grown, own, isRim)).toBeGreaterThan(1);
    expect(differenceWhere(shrunk, own, isRim)).toBe(0);
    expect(differenceWhere(shrunk, own, (x, y) => inMiddle(x, y) && x < 29)).toBe(0);
  });

  test('is soft in the latents where it is not rounded', async () => {
    const grey = pngOf(64, 64, (x, y) => (inMiddle(x, y) ? [160, 160, 160] : [0, 0, 0]));
    const init = { mask: { kind: 'image', mask: grey, invert: false } } as const;
    const rounded = await one(inpaint({ ...init, round: true }));
    expect(difference(rounded, await one(inpaint({ ...init, round: false })))).toBeGreaterThan(0.1);
  });

  test('is blurred in x and y apart', async () => {
    const across = await one(inpaint({ blur: { x: 6, y: 0 } }));
    const own = await pixelsOf(photo());
    expect(differenceWhere(across, own, (x, y) => x >= 18 && x < 24 && y >= 26 && y < 40)).toBeGreaterThan(1);
    expect(differenceWhere(across, own, (_, y) => y < 20 || y >= 44)).toBe(0);
  });

  test.each([
    ['all black changes nothing', [0, 0, 0], 0],
    ['all white changes everything', [255, 255, 255], 1],
  ] as const)('%s', async (_, colour, least) => {
    const mask = pngOf(64, 64, () => colour);
    const image = await one(inpaint({ mask: { kind: 'image', mask, invert: false } }));
    const changed = difference(image, await pixelsOf(photo()));
    if (least === 0) expect(changed).toBe(0);
    else expect(changed).toBeGreaterThan(least);
  });

  test('all black, and only it, is image-to-image by A1111’s rules and refused by the others', async () => {
    const mask = { kind: 'image', mask: pngOf(64, 64, () => [0, 0, 0]), invert: false } as const;
    const whole = await one(jobFrom(imageInit([photo()])));
    expect(difference(await one(inpaint({ mask, area: { padding: 8 } })), whole)).toBe(0);
    await expect(run(inpaint({ mask, area: { padding: 8 }, rules: 'diffusers' }))).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await expect(run(inpaint({ mask, area: { field: 0.5 }, rules: 'fooocus' }))).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  test('of another size than the image is brought to it', async () => {
    const half = pngOf(32, 32, (x, y) => (inMiddle(2 * x, 2 * y) ? [255, 255, 255] : [0, 0, 0]));
    for (const area of ['whole', { padding: 4 }] as const) {
      const image = await one(inpaint({ mask: { kind: 'image', mask: half, invert: false }, area }));
      const own = await pixelsOf(photo());
      expect(differenceWhere(image, own, (x) => x < 16 || x >= 48)).toBe(0);
      expect(differenceWhere(image, own, inMiddle)).toBeGreaterThan(5);
    }
  });
});

test('what is masked begins as the image, filled from around, as noise or as nothing', async () => {
  const made = [];
  for (const fill of ['original', 'fill', 'latent-noise', 'latent-nothing'] as const) {
    const image = await one(inpaint({ fill }));
    for (const other of made) expect(differenceWhere(image, other, inMiddle), fill).toBeGreaterThan(0.02);
    made.push(image);
  }
});

describe('soft inpainting', () => {
  const init = { blur: { x: 6, y: 6 }, round: false } as const;
  const soft = (changes: Partial<typeof SOFT> = {}) => inpaint({ ...init, soft: { ...SOFT, ...changes } });
  const plain = one(soft());

  test('blends otherwise, and leaves what did not change', async () => {
    expect(difference(await plain, await one(inpaint(init)))).toBeGreaterThan(0.5);
    // Its masks reach a few latent cells beyond what changed.
    const wide = photo(160, 64);
    const mask = pngOf(160, 64, (x, y) => (inMiddle(x, y) ? [255, 255, 255] : [0, 0, 0]));
    const made = await one(
      jobFrom(maskedInit([wide], mask, { ...init, overlay: true, soft: SOFT }), {
        size: { width: 160, height: 64 },
      }),
    );
    const own = await pixelsOf(wide);
    expect(differenceWhere(made, own, inMiddle)).toBeGreaterThan(2);
    expect(differenceWhere(made, own, (x) => x >= 110)).toBe(0);
  });

  test.each([
    ['scheduleBias', 3],
    ['preservationStrength', 4],
    ['transitionContrastBoost', 16],
    ['maskInfluence', 1],
    ['differenceThreshold', 4],
    ['differenceContrast', 0.5],
  ] as const)('has an effect of %s', async (name, value) => {
    expect(difference(await plain, await one(soft({ [name]: value })))).toBeGreaterThan(0.01);
  });

  test('works with samplers over timesteps', async () => {
    const sampler = { family: 'k-diffusion', sampler: 'ddim', schedule: 'automatic', options: {} } as const;
    const job = jobFrom((soft() as { init: MaskedInit }).init, { sampler, steps: 5 });
    const without = jobFrom(maskedInit([photo()], MASK, { overlay: true, ...init }), { sampler, steps: 5 });
    expect(difference(await one(job), await one(without))).toBeGreaterThan(0.1);
  });
});

test('hands over the mask and the image seen through it', async () => {
  const job = inpaint({ blur: { x: 2, y: 2 } });
  const image = await one({ ...job, output: { ...job.output, masks: ['mask', 'composite'] } });
  const { mask, composite } = image.masks;
  expect(mask).toMatchObject({ width: 64, height: 64, channels: 3 });
  expect(composite).toMatchObject({ width: 64, height: 64, channels: 4 });
  const middle = 32 * 64 + 32;
  expect(mask?.data[middle * 3]).toBe(255);
  expect(mask?.data[0]).toBe(0);
  expect([...(composite?.data.subarray(middle * 4, middle * 4 + 4) ?? [])]).toEqual([
    ...image.data.subarray(middle * 3, middle * 3 + 3),
    255,
  ]);
  expect(composite?.data[3]).toBe(0);
  expect((await one(job)).masks).toEqual({});
});

describe('outpainting', () => {
  const SIDES = { left: 16, top: 0, right: 8, bottom: 40 };

  test.each(['a1111', 'diffusers', 'fooocus'] as const)(
    'generates the new sides by the rules of %s',
    async (rules) => {
      const [source, size] = [photo(128, 128), { width: 152, height: 168 }];
      const init = maskedInit(
        [source],
        { kind: 'none' },
        { rules, expand: SIDES, overlay: true, fill: 'fill' },
      );
      const image = await one(jobFrom(init, { size }));
      expect(image).toMatchObject(size);
      // By Fooocus’ rules it fades into the image, over 32 pixels.
      const fade = rules === 'fooocus' ? 32 : 0;
      const own = await pixelsOf(source);
      const at = (pixels: typeof own, x: number, y: number) =>
        pixels.data[(y * pixels.width + x) * pixels.channels];
      let off = 0;
      for (let y = fade; y < 128 - fade; y++) {
        for (let x = fade; x < 128 - fade; x++) if (at(image, x + SIDES.left, y) !== at(own, x, y)) off++;
      }
      expect(off).toBe(0);
      const edge = at(own, 60, 127);
      expect(
        Array.from({ length: 8 }, (_, x) => at(image, 76 + x, 160)).some((value) => value !== edge),
      ).toBe(true);
    },
  );

  test('goes with a mask', async () => {
    const init = (mask: MaskedInit['mask']) =>
      maskedInit([photo()], mask, { expand: { left: 0, top: 0, right: 32, bottom: 0 }, overlay: true });
    const size = { width: 96, height: 64 };
    const both = await one(jobFrom(init({ kind: 'image', mask: PLAIN, invert: false }), { size }));
    const alone = await one(jobFrom(init({ kind: 'none' }), { size }));
    const isRight = (x: number) => x >= 32 && x < 64;
    expect(differenceWhere(both, alone, (x) => x < 32)).toBe(0);
    expect(differenceWhere(both, alone, isRight)).toBeGreaterThan(1);
  });

  test('needs sides', async () => {
    await expect(run(jobFrom(maskedInit([photo()], { kind: 'none' })))).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('nothing to inpaint') as string,
    });
    const expand = { left: 20_000, top: 0, right: 0, bottom: 20_000 };
    await expect(run(jobFrom(maskedInit([photo()], { kind: 'none' }, { expand })))).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

test('holds in a second pass of another size', async () => {
  const job = inpaint();
  const [first] = job.passes;
  const size = { width: 96, height: 96 };
  const image = await one({ ...job, passes: [first, { ...first, size }] });
  const enlarged = await one({ ...job, passes: [{ ...first, size }] });
  expect(differenceWhere(image, enlarged, (x, y) => x < 24 || y < 20)).toBe(0);
  expect(differenceWhere(image, enlarged, (x, y) => inMiddle(x / 1.5, y / 1.5))).toBeGreaterThan(0.1);
});
