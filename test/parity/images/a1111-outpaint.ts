import { combineOutpaintPoor, planOutpaintPoor } from '#imaging/a1111/scripts/outpaint-poor.ts';
import {
  finishOutpaintMk2,
  planOutpaintMk2,
  prepareOutpaintMk2,
} from '#imaging/a1111/scripts/outpaint-mk2.ts';
import type { OutpaintDirection } from '#imaging/a1111/scripts/outpaint-size.ts';
import { getCropRegion } from '#imaging/a1111/crop-region.ts';
import { invert, toGrey, toRgb } from '#imaging/pillow/convert.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { boxesOf } from './a1111-scripts.ts';
import {
  checkPixels,
  checkRefuses,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

interface PoorCase extends ImageCase {
  arguments: {
    pixels: number;
    mask_blur: number;
    direction: OutpaintDirection[];
    width: number;
    height: number;
    seed: number;
  };
  target: [number, number];
  tiles_xywh: number[][][];
  calls: { seed: number; mask_blur: number; mask_bbox: number[] | null; latent_mask_bbox: number[] | null }[];
  error: string | null;
}

function poorChecks({ arguments: given, images = {}, ...reference }: PoorCase, files: CaseFiles): Check[] {
  const request = {
    image: toRgb(files.input('image')),
    pixels: given.pixels,
    maskBlur: given.mask_blur,
    directions: given.direction,
    tile: given,
    seed: given.seed,
  };
  if (reference.error !== null) return [checkRefuses('plan', () => planOutpaintPoor(request))];
  const plan = planOutpaintPoor(request);
  const calls = plan.tiles.map(({ seed, mask, latentMask }) => [
    seed,
    plan.maskBlur,
    boxOf(mask),
    boxOf(latentMask),
  ]);
  const expected = reference.calls.map((call) => [
    call.seed,
    call.mask_blur,
    call.mask_bbox,
    call.latent_mask_bbox,
  ]);
  const made: Record<string, Pixels> = {
    canvas: plan.canvas,
    mask: plan.mask,
    latent_mask: plan.latentMask,
    combined: combineOutpaintPoor(
      plan,
      plan.tiles.map(({ image }) => invert(image)),
    ),
  };
  return [
    checkValues('target', [plan.canvas.width, plan.canvas.height], reference.target),
    checkValues('tiles', boxesOf(plan.grid), reference.tiles_xywh),
    checkValues('calls', calls, expected),
    ...Object.entries(made).flatMap(([label, image]) =>
      images[label] === undefined
        ? []
        : [checkPixels(label, image, files.image(label), label === 'combined' ? 1 : 0)],
    ),
  ];
}

function boxOf(mask: Pixels): number[] | null {
  const region = getCropRegion(mask, 0);
  return region && [region.x1, region.y1, region.x2, region.y2];
}

interface Mk2Case extends ImageCase {
  arguments: {
    pixels: number;
    mask_blur: number;
    direction: OutpaintDirection[];
    noise_q: number;
    color_variation: number;
    width: number;
    height: number;
  };
  calls: {
    width: number;
    height: number;
    mask_blur_x: number;
    mask_blur_y: number;
    size: [number, number];
  }[];
  error: string | null;
  final_size: [number, number] | null;
}

/** How far the noise may be from the reference's. */
const NOISE = 2;

function mk2Checks({ arguments: given, images = {}, ...reference }: Mk2Case, files: CaseFiles): Check[] {
  let image = toRgb(files.input('image'));
  const plan = planOutpaintMk2(image, {
    pixels: given.pixels,
    maskBlur: given.mask_blur,
    directions: given.direction,
    noiseExponent: given.noise_q,
    colourVariation: given.color_variation,
    process: given,
  });
  const checks: Check[] = [];
  const run = () => {
    plan.steps.forEach((step, i) => {
      const prepared = prepareOutpaintMk2(image, step, plan);
      const call = reference.calls[i];
      const made: Record<string, Pixels> = {
        init: prepared.image,
        mask: prepared.mask,
        latent_mask: prepared.latentMask,
      };
      for (const [label, pixels] of Object.entries(made)) {
        const name = `step${i}-${label}`;
        if (images[name] === undefined) continue;
        const expected = files.image(name);
        checks.push(
          label === 'init'
            ? checkPixels(name, pixels, expected, NOISE)
            : checkPixels(name, pixels, toGrey(expected), 0),
        );
      }
      const { x, y } = prepared.maskBlur;
      checks.push(
        checkValues(
          `call ${i}`,
          [prepared.image.width, prepared.image.height, x, y],
          call && [...call.size, call.mask_blur_x, call.mask_blur_y],
        ),
      );
      image = finishOutpaintMk2(prepared, invert(prepared.image));
    });
  };
  if (reference.error !== null) return [checkRefuses('steps', run)];
  run();
  checks.push(checkValues('size', [image.width, image.height], reference.final_size));
  if (images['result'] !== undefined) checks.push(checkPixels('result', image, files.image('result'), NOISE));
  return checks;
}

/** Outpainting. */
export const a1111OutpaintKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-outpaint-poor': kindRunner<PoorCase>('a1111-outpaint-poor', poorChecks),
  'a1111-outpaint-mk2': kindRunner<Mk2Case>('a1111-outpaint-mk2', mk2Checks),
};
