import { isInpaintTask, planInpaintTask, readInpaintInput } from '#imaging/fooocus/image-input.ts';
import {
  pasteInpainted,
  planInpaintArea,
  prepareInpaint,
  UPSCALER_FACTOR,
} from '#imaging/fooocus/inpaint.ts';
import { latentMask } from '#imaging/fooocus/latent-mask.ts';
import { softenMask } from '#imaging/fooocus/mask.ts';
import { outpaint, type OutpaintSide } from '#imaging/fooocus/outpaint.ts';
import { resizeNearest } from '#imaging/pillow/nearest.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, cropPixels, type Margins, type Pixels, type Region } from '#imaging/pixels.ts';
import {
  checkPixels,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

type Pair = [width: number, height: number];

const abcdOf = ({ x1, y1, x2, y2 }: Region) => [y1, y2, x1, x2];

interface InpaintCase extends ImageCase {
  k: number;
  use_fill: boolean;
  interested_area: number[];
  interested_size: Pair;
  mask_white: number;
}

/** What the references have for the upscaler: each pixel repeated. */
function repeatPixels(image: Pixels): Pixels {
  return resizeNearest(image, {
    width: image.width * UPSCALER_FACTOR,
    height: image.height * UPSCALER_FACTOR,
  });
}

/** Pixels 8, 24, 40 … in both directions. */
function every16(image: Pixels): Pixels {
  const size = { width: Math.floor((image.width + 7) / 16), height: Math.floor((image.height + 7) / 16) };
  const some = createPixels(size, image.channels);
  const samples = image.channels;
  for (let i = 0; i < size.width * size.height; i++) {
    const [x, y] = [(i % size.width) * 16 + 8, Math.floor(i / size.width) * 16 + 8];
    const start = (y * image.width + x) * samples;
    some.data.set(image.data.subarray(start, start + samples), i * samples);
  }
  return some;
}

function inpaintChecks(reference: InpaintCase, files: CaseFiles): Check[] {
  const [image, mask] = [files.input('image'), files.input('mask')];
  const area = planInpaintArea(mask, reference.k);
  const cropped = cropPixels(image, area.region);
  const sources = prepareInpaint(
    area.upscaleFirst ? repeatPixels(cropped) : cropped,
    mask,
    area,
    reference.use_fill,
  );
  const generated = resize(files.image('generated_64'), area.size, 'bicubic');
  const white = sources.mask.data.reduce((count, sample) => count + (sample === 255 ? 1 : 0), 0);
  return [
    checkValues('area', abcdOf(area.region), reference.interested_area),
    checkValues('size', [sources.image.width, sources.image.height], reference.interested_size),
    checkValues('planned size', [area.size.width, area.size.height], reference.interested_size),
    checkValues('white', white, reference.mask_white),
    checkPixels('image', every16(sources.image), files.image('image_every16'), 1),
    checkPixels('mask', every16(sources.mask), files.image('mask_every16'), 0),
    checkPixels('fill', every16(sources.fill), files.image('fill_every16'), 2),
    checkPixels('soft mask', softenMask(mask), files.image('soft_mask'), 0),
    checkPixels('latent mask', latentMask(sources.mask), files.image('latent_mask'), 0),
    checkPixels('result', pasteInpainted({ image, mask }, generated, area.region), files.image('result'), 2),
  ];
}

interface OutpaintCase extends ImageCase {
  outpaint_selections: OutpaintSide[];
  outpaint_distance?: Margins;
  size: Pair;
  inpaint_strength?: number;
  inpaint_respective_field?: number;
}

function outpaintChecks(reference: OutpaintCase, files: CaseFiles): Check[] {
  const before = { image: files.input('image'), mask: files.input('mask') };
  const { image, mask } = outpaint(before, reference.outpaint_selections, reference.outpaint_distance);
  const size = checkValues('size', [image.width, image.height], reference.size);
  if (!reference.images) return [size];
  return [
    size,
    checkPixels('image', image, files.image('image'), 0),
    checkPixels('mask', mask, files.image('mask'), 0),
  ];
}

interface InpaintTaskCase extends ImageCase {
  outpaint_selections: OutpaintSide[];
  inpaint_respective_field: number;
  latent_pixels: Pair;
  interested_area: number[];
  final: Pair;
}

interface MaskCase extends ImageCase {
  options: {
    outpaint_selections?: OutpaintSide[];
    inpaint_erode_or_dilate?: number;
    invert_mask_checkbox?: boolean;
    inpaint_additional_prompt?: string;
    refiner_model_name?: string;
    inpaint_engine?: string;
    prompt?: string;
  };
  goals: string[];
  prompt: string;
  refiner_switch: number;
  use_synthetic_refiner: boolean;
}

/** What the cases' requests say unless their options do. */
const REFINER_SWITCH = 0.5;
const PROMPT = 'p';

function maskChecks({ options, ...reference }: MaskCase, files: CaseFiles): Check[] {
  const { image, mask } = readInpaintInput(
    { image: files.input('image'), mask: files.input('mask') },
    {
      ...(reference.inputs?.['mask_upload'] !== undefined && { upload: files.input('mask_upload') }),
      erodeOrDilate: options.inpaint_erode_or_dilate ?? 0,
      invert: options.invert_mask_checkbox ?? false,
    },
  );
  const prompt = options.prompt ?? PROMPT;
  const unchanged = { prompt, refinerSwitch: REFINER_SWITCH, useSyntheticRefiner: false };
  const isTask = isInpaintTask(mask, options.outpaint_selections?.length ?? 0);
  const plan = planInpaintTask({
    prompt,
    additionalPrompt: options.inpaint_additional_prompt ?? '',
    refinerSwitch: REFINER_SWITCH,
    hasRefiner: (options.refiner_model_name ?? 'None') !== 'None',
    usesPatch: (options.inpaint_engine ?? 'v2.6') !== 'None',
  });
  return [
    checkPixels('image', image, files.image('image'), 0),
    checkPixels('mask', mask, files.image('mask'), 0),
    checkValues('goals', isTask ? ['inpaint'] : [], reference.goals),
    checkValues('task', isTask ? plan : unchanged, {
      prompt: reference.prompt,
      refinerSwitch: reference.refiner_switch,
      useSyntheticRefiner: reference.use_synthetic_refiner,
    }),
  ];
}

/** Kinds around inpainting and outpainting. */
export const fooocusInpaintKinds: Readonly<Record<string, KindRunner>> = {
  'fooocus-inpaint': kindRunner<InpaintCase>('fooocus-inpaint', inpaintChecks),
  'fooocus-outpaint': kindRunner<OutpaintCase>('fooocus-outpaint', outpaintChecks),
  'fooocus-api-outpaint': kindRunner<OutpaintCase>('fooocus-api-outpaint', outpaintChecks),
  'fooocus-api-mask': kindRunner<MaskCase>('fooocus-api-mask', maskChecks),
  'fooocus-api-inpaint-task': kindRunner<InpaintTaskCase>('fooocus-api-inpaint-task', (reference, files) => {
    const { image, mask } = outpaint(
      { image: files.input('image'), mask: files.input('mask') },
      reference.outpaint_selections,
    );
    const { region, size } = planInpaintArea(mask, reference.inpaint_respective_field);
    const encoded = [size.width, size.height].map((side) => Math.floor(side / 8) * 8);
    return [
      checkValues('area', abcdOf(region), reference.interested_area),
      checkValues('latents', encoded, reference.latent_pixels),
      checkValues('final', [image.width, image.height], reference.final),
    ];
  }),
};
