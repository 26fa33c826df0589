import { describe, expect, it } from 'vitest';
import { cutTiles, splitGrid } from '#imaging/a1111/grid.ts';
import { prepareImg2img, type Inpaint } from '#imaging/a1111/img2img.ts';
import { finishImg2img } from '#imaging/a1111/img2img-result.ts';
import { setupImg2imgSteps } from '#imaging/a1111/img2img-steps.ts';
import { readCsvFields } from '#imaging/a1111/scripts/csv.ts';
import { planOutpaintMk2, prepareOutpaintMk2 } from '#imaging/a1111/scripts/outpaint-mk2.ts';
import { planSdUpscale } from '#imaging/a1111/scripts/sd-upscale.ts';
import { findXyzAxis } from '#imaging/a1111/scripts/xyz-axes.ts';
import { checkXyzValues, planXyzPlot, type XyzAxisValues } from '#imaging/a1111/scripts/xyz-plot.ts';
import { readXyzValues } from '#imaging/a1111/scripts/xyz-values.ts';
import { filterUpscalers, upscalerOf } from '#imaging/a1111/upscaler.ts';
import { filled } from '#imaging/pillow/paste.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';

const WHITE = [255, 255, 255] as const;

/** Each pixel tells its place. */
function gradient(width: number, height: number): Pixels {
  const image = createPixels({ width, height }, 3);
  for (let i = 0; i < width * height; i++) {
    image.data.set([(i % width) * 3, Math.floor(i / width) * 3, 90], i * 3);
  }
  return image;
}

const inpaint: Omit<Inpaint, 'mask'> = {
  blur: { x: 2, y: 2 },
  inverted: false,
  rounded: true,
  onlyMasked: { padding: 8 },
  maskedContent: 'original',
};

describe('img2img', () => {
  it('inpaints only the masked region, and leaves everything else of the init image as it was', async () => {
    const image = gradient(80, 80);
    const mask = createPixels(image, 1);
    for (let y = 25; y < 45; y++) mask.data.fill(255, y * 80 + 25, y * 80 + 45);
    const request = { image, size: { width: 64, height: 64 }, resizeMode: 0, background: WHITE } as const;
    const prepared = await prepareImg2img({ ...request, inpaint: { ...inpaint, mask } });
    expect(prepared.mask?.pasteTo).toEqual({ x1: 12, y1: 12, x2: 58, y2: 58 });
    expect(prepared.image).toMatchObject({ width: 64, height: 64 });

    const black = createPixels(request.size, 3);
    const result = await finishImg2img(black, { mask: prepared.mask, putsOverlay: true, colourTarget: null });
    const pixel = (x: number, y: number) => [
      ...result.image.data.subarray((y * 80 + x) * 3, (y * 80 + x) * 3 + 3),
    ];
    expect(pixel(35, 35)).toEqual([0, 0, 0]);
    expect(pixel(5, 70)).toEqual([15, 210, 90]);
    expect(result.byProducts?.().composite).toMatchObject({ width: 80, height: 80, channels: 4 });
  });

  it('generates the whole image where only the masked region is wanted and the mask is blank', async () => {
    const image = gradient(64, 64);
    const prepared = await prepareImg2img({
      image,
      size: image,
      resizeMode: 0,
      background: WHITE,
      inpaint: { ...inpaint, mask: createPixels(image, 1), maskedContent: 'fill' },
    });
    expect(prepared).toEqual({ image, mask: null });
  });

  it('lets an upscaler make what is too small', async () => {
    const request = { image: gradient(20, 20), resizeMode: 0, background: WHITE, inpaint: null } as const;
    const size = { width: 40, height: 40 };
    const byLanczos = await prepareImg2img({ ...request, size });
    const byNearest = await prepareImg2img({
      ...request,
      size,
      upscaler: upscalerOf(filterUpscalers.Nearest),
    });
    expect([...byNearest.image.data.subarray(0, 6)]).toEqual([0, 0, 90, 0, 0, 90]);
    expect(byNearest.image.data).not.toEqual(byLanczos.image.data);
  });

  it('runs all steps with a longer schedule where their number is fixed', () => {
    const request = { steps: 20, strength: 0.5 };
    expect(setupImg2imgSteps({ ...request, fixedSteps: false })).toEqual({ scheduleSteps: 20, tEnc: 10 });
    expect(setupImg2imgSteps({ ...request, fixedSteps: true })).toEqual({ scheduleSteps: 40, tEnc: 19 });
  });
});

describe('grids of tiles', () => {
  it('cover the image, the last tiles at its edges', () => {
    const image = gradient(100, 70);
    const grid = splitGrid(image, { width: 64, height: 64 }, 16);
    expect(grid.rows).toEqual([
      [
        { x: 0, y: 0 },
        { x: 36, y: 0 },
      ],
      [
        { x: 0, y: 6 },
        { x: 36, y: 6 },
      ],
    ]);
    expect(cutTiles(image, grid)[3]?.data.subarray(0, 3)).toEqual(Uint8ClampedArray.of(108, 18, 90));
  });

  it('refuse tiles larger than the image, and overlaps larger than a tile', () => {
    const image = { width: 60, height: 100 };
    expect(() => splitGrid(image, { width: 64, height: 64 }, 16)).toThrow('smaller than a tile of 64×64');
    expect(() => splitGrid(image, { width: 32, height: 32 }, 32)).toThrow('cannot overlap by 32 pixels');
  });

  it('are upscaled batch by batch, a seed for each', () => {
    const plan = planSdUpscale({
      image: gradient(100, 70),
      tile: { width: 64, height: 64 },
      overlap: 16,
      seed: 7,
      batchSize: 3,
      count: 1,
    });
    expect(plan.images[0]?.map(({ seed, tiles, first }) => [seed, tiles.length, first])).toEqual([
      [7, 3, 0],
      [8, 1, 3],
    ]);
  });
});

it('outpainting mk2 refuses an expansion that leaves nothing of the image in what is processed', () => {
  const image = filled({ width: 64, height: 64 }, [200, 100, 50]);
  const plan = planOutpaintMk2(image, {
    pixels: 128,
    maskBlur: 8,
    directions: ['right'],
    noiseExponent: 1,
    colourVariation: 0.05,
    process: { width: 64, height: 64 },
  });
  const [step] = plan.steps;
  expect(step).toEqual({ direction: 'right', pixels: 128 });
  expect(() => step && prepareOutpaintMk2(image, step, plan)).toThrow('does not fit into 64×64');
});

describe('X/Y/Z plot', () => {
  const on = (label: string, text: string): XyzAxisValues => {
    const axis = findXyzAxis(label, 'txt2img');
    if (!axis) throw new Error(`There is no axis "${label}".`);
    return { axis, values: readXyzValues(axis.kind, text) };
  };
  const nothing: XyzAxisValues = { ...on('Nothing', ''), values: [0] };
  const request = {
    prompt: 'a cat',
    negative_prompt: '',
    seed: 1,
    steps: 20,
    styles: [],
    override_settings: {},
  };
  const varySeeds = { x: false, y: false, z: false };

  it('changes a prompt by its first value', () => {
    const { cells } = planXyzPlot({
      x: on('Prompt S/R', 'cat,dog'),
      y: nothing,
      z: nothing,
      request,
      varySeeds,
    });
    expect(cells.map((cell) => cell.request.prompt)).toEqual(['a cat', 'a dog']);
    expect(() =>
      planXyzPlot({ x: on('Prompt S/R', 'bird,dog'), y: nothing, z: nothing, request, varySeeds }),
    ).toThrow('did not find "bird"');
  });

  it('refuses samplers that do not exist before anything runs', () => {
    const isKnown = (name: string) => name === 'Euler';
    expect(() => checkXyzValues(on('Sampler', 'Euler'), isKnown)).not.toThrow();
    expect(() => checkXyzValues(on('Sampler', 'Euler, Oiler'), isKnown)).toThrow('no value "Oiler"');
    expect(() => checkXyzValues(on('Refiner checkpoint', 'None'), isKnown)).not.toThrow();
  });

  it('reads fields in quotes, with commas and quotes inside', () => {
    expect(readCsvFields(' a , "b, c","say ""hi""",\nd')).toEqual(['a', 'b, c', 'say "hi"', '', 'd']);
  });
});
