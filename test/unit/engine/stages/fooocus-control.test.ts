import { describe, expect, it } from 'vitest';
import { prepareControlImage } from '#engine/stages/control/control-image.ts';
import { residualWeight } from '#engine/stages/control/control.ts';
import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import { cpds } from '#imaging/fooocus/cpds.ts';
import { pyraCanny } from '#imaging/fooocus/pyra-canny.ts';
import { createPixels, greyToRgb, type Pixels } from '#imaging/pixels.ts';
import type { ControlSpec } from '#protocol/job.ts';
import { pngOf } from '../../../support/images.ts';

const SIZE = { width: 64, height: 48 };

/** Bars of two colours that are near each other. */
const colourOf = (x: number): [number, number, number] => (x % 20 < 10 ? [180, 90, 60] : [140, 110, 60]);
const image = pngOf(96, 48, colourOf);
const pixels: Pixels = {
  ...createPixels({ width: 96, height: 48 }, 3),
  data: Uint8ClampedArray.from(Array.from({ length: 96 * 48 }, (_, i) => colourOf(i % 96)).flat()),
};
const cut = resizeImage(1, pixels, SIZE);

type Fooocus = Extract<ControlSpec['preprocessor'], { kind: 'fooocus' }>;

/** The control image as samples of 0 … 255, pixel after pixel. */
async function prepare(map: Fooocus['map'], changes: Partial<Fooocus> = {}, init?: PreparedInit) {
  const preprocessor = { kind: 'fooocus', map, low: 64, high: 128, ...changes } as const;
  const spec = { image, fit: 'cover', preprocessor } as const;
  const { width, height, data } = await prepareControlImage(spec, {
    size: SIZE,
    rules: 'a1111',
    init,
    makeMap: () => Promise.reject(new Error('No network was expected.')),
  });
  expect({ width, height }).toEqual(SIZE);
  const area = width * height;
  return Uint8ClampedArray.from(
    { length: area * 3 },
    (_, i) => (data[(i % 3) * area + Math.floor(i / 3)] ?? 0) * 255,
  );
}

describe('Fooocus’s control images', () => {
  it('are made of the image cut to the size of the pass', async () => {
    expect(await prepare(null)).toEqual(cut.data);
    expect(await prepare('PyraCanny')).toEqual(greyToRgb(pyraCanny(cut, [64, 128])).data);
    expect(await prepare('CPDS')).toEqual(greyToRgb(cpds(cut)).data);
  });

  it('have other edges with other thresholds', async () => {
    expect(await prepare('PyraCanny', { low: 250, high: 255 })).not.toEqual(await prepare('PyraCanny'));
  });

  it('are of all of the image also where a region is inpainted', async () => {
    const init: PreparedInit = {
      image: cut,
      stretchesLatents: false,
      mask: null,
      region: { x1: 10, y1: 10, x2: 20, y2: 20 },
      finish: (generated) => Promise.resolve({ image: generated }),
    };
    expect(await prepare('PyraCanny', {}, init)).toEqual(await prepare('PyraCanny'));
  });
});

it('softness weakens shallow residuals, as far as the tenth', () => {
  const spec = { strength: 0.8, start: 0, end: 1, balance: 'even', softness: 0.25 } as const;
  const control = { isPooled: false, rules: 'a1111', spec } as const;
  const weights = [0, 3, 9, 12].map((index) => residualWeight(control, { unconditional: false }, index, 13));
  expect(weights.map((weight) => weight.toFixed(6))).toEqual(
    [0.8 * 0.75, 0.8 * (1 - 0.25 * (2 / 3)), 0.8, 0.8].map((weight) => weight.toFixed(6)),
  );
});
