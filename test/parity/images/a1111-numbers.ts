import type { Pixels } from '#imaging/pixels.ts';
import { expandCropRegion, getCropRegion } from '#imaging/a1111/crop-region.ts';
import { hiresSizes } from '#imaging/a1111/hires-size.ts';
import { ddimRun, kDiffusionRun, setupImg2imgSteps } from '#imaging/a1111/img2img-steps.ts';
import { latentUpscaleModes, type LatentUpscaler } from '#imaging/a1111/latent-upscale.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import {
  checkTensor,
  checkValues,
  kindRunner,
  planesOf,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

type Pair = [width: number, height: number];
type Box = [x1: number, y1: number, x2: number, y2: number];

interface CropRegionCase extends ImageCase {
  results: {
    padding: number;
    v2: Box | null;
    expanded: { processing: Pair; region: Box | null }[] | null;
  }[];
}

function* cropRegionChecks(reference: CropRegionCase, mask: Pixels): Generator<Check> {
  for (const { padding, v2, expanded } of reference.results) {
    const region = getCropRegion(mask, padding);
    const box = region && [region.x1, region.y1, region.x2, region.y2];
    yield checkValues(`padding ${padding}`, box, v2);
    for (const { processing, region: wanted } of expanded ?? []) {
      const [width, height] = processing;
      const grown = region && expandCropRegion(region, { width, height }, mask);
      yield checkValues(
        `padding ${padding} to ${width}x${height}`,
        grown && [grown.x1, grown.y1, grown.x2, grown.y2],
        wanted,
      );
    }
  }
}

interface HiresSizeCase extends ImageCase {
  width: number;
  height: number;
  hr_scale: number;
  hr_resize_x: number;
  hr_resize_y: number;
  old_behaviour: boolean;
  firstphase_width: number;
  firstphase_height: number;
  first_pass: Pair;
  upscale_to: Pair;
  truncate: Pair;
  latent_final: Pair;
  crop: { left: number; top: number; right: number; bottom: number };
}

function hiresSizeChecks(reference: HiresSizeCase): Check[] {
  const { firstPass, upscaleTo, truncate, crop } = hiresSizes({
    size: { width: reference.width, height: reference.height },
    scale: reference.hr_scale,
    resize: { width: reference.hr_resize_x, height: reference.hr_resize_y },
    firstPass: { width: reference.firstphase_width, height: reference.firstphase_height },
    oldBehaviour: reference.old_behaviour,
  });
  const cells = [Math.floor(upscaleTo.width / 8), Math.floor(upscaleTo.height / 8)] as const;
  return [
    checkValues('first pass', [firstPass.width, firstPass.height], reference.first_pass),
    checkValues('upscaled', [upscaleTo.width, upscaleTo.height], reference.upscale_to),
    checkValues('truncated', [truncate.width, truncate.height], reference.truncate),
    checkValues('crop', crop, reference.crop),
    checkValues(
      'latents',
      [cells[0] - crop.left - crop.right, cells[1] - crop.top - crop.bottom],
      reference.latent_final,
    ),
  ];
}

interface StepsRow {
  steps: number;
  denoising_strength: number;
  img2img_fix_steps: boolean;
  hr_steps: number | null;
  schedule_steps: number;
  t_enc: number;
  first_sigma_index: number | null;
  denoise_steps: number;
  ddim_steps: number | null;
}

function stepsCheck(row: StepsRow): Check {
  const counted = setupImg2imgSteps({
    steps: row.steps,
    strength: row.denoising_strength,
    fixedSteps: row.img2img_fix_steps,
    ...(row.hr_steps !== null && { hiresSteps: row.hr_steps }),
  });
  const run = kDiffusionRun(counted);
  return checkValues(
    `${row.steps} steps at ${row.denoising_strength}`,
    [counted.scheduleSteps, counted.tEnc, run?.first ?? null, run?.steps ?? 0, ddimRun(counted)],
    [row.schedule_steps, row.t_enc, row.first_sigma_index, row.denoise_steps, row.ddim_steps],
  );
}

/** Kinds that are numbers. */
export const a1111NumberKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-crop-region': kindRunner<CropRegionCase>('a1111-crop-region', (reference, files) => [
    ...cropRegionChecks(reference, files.input('mask')),
  ]),
  'a1111-hires-size': kindRunner<HiresSizeCase>('a1111-hires-size', hiresSizeChecks),
  'a1111-img2img-steps': kindRunner<ImageCase & { rows: StepsRow[] }>('a1111-img2img-steps', ({ rows }) =>
    rows.map(stepsCheck),
  ),
  'a1111-latent-upscale': kindRunner<ImageCase & { upscaler: LatentUpscaler }>(
    'a1111-latent-upscale',
    async ({ upscaler }, files) => {
      const expected = await files.tensor('result');
      const upscaled = interpolate(
        planesOf(await files.tensor('latent')),
        planesOf(expected),
        latentUpscaleModes[upscaler],
      );
      return [checkTensor('result', upscaled.data, expected)];
    },
  ),
};
