import { toPng } from '#engine/stages/write/encode-image.ts';
import { createNoiseStream, type LatentSize } from '#engine/random/latent-noise.ts';
import {
  blendLatents,
  inpaintConditioning,
  latentMask,
  maskedLatents,
} from '#imaging/a1111/inpaint-latents.ts';
import {
  prepareImg2img,
  type Inpaint,
  type MaskedContent,
  type PreparedImg2img,
} from '#imaging/a1111/img2img.ts';
import {
  decodedPixels,
  finishImg2img,
  signedPlanes,
  type FinishedImage,
} from '#imaging/a1111/img2img-result.ts';
import type { ResizeMode } from '#imaging/a1111/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { toGrey } from '#imaging/pillow/convert.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import type { Fit, GenerateJob, InpaintFill } from '#protocol/job.ts';
import { imageInit, maskedInit } from '../../support/inits.ts';
import { textToImage } from '../../support/jobs.ts';
import { COLOUR_TOLERANCE, readColour, upscalerNamed } from './a1111-images.ts';
import { openStages } from './a1111-stages.ts';
import { decode, encode, imageOf, sampleImg2img } from './closed-form.ts';
import {
  checkMostPixels,
  checkPixels,
  checkTensor,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

interface Img2imgCase extends ImageCase {
  parameters: {
    width: number;
    height: number;
    seed: number;
    batch_size: number;
    n_iter: number;
    resize_mode?: ResizeMode;
    initial_noise_multiplier?: number;
    subseed?: number;
    subseed_strength?: number;
    seed_resize_from_w?: number;
    seed_resize_from_h?: number;
    inpaint_full_res?: boolean;
    inpaint_full_res_padding?: number;
    inpainting_fill?: number;
    inpainting_mask_invert?: number;
    mask_blur?: number;
    mask_blur_x?: number;
    mask_blur_y?: number;
    mask_round?: boolean;
  };
  options: {
    img2img_background_color?: string;
    eta_noise_seed_delta?: number;
    img2img_color_correction?: boolean;
    overlay_inpaint?: boolean;
    inpainting_mask_weight?: number;
    upscaler_for_img2img?: string;
    randn_source?: 'NV';
  };
  conditioning_key: 'crossattn' | 'hybrid';
  paste_to: number[] | null;
  returned: string[];
}

const MASKED_CONTENTS: readonly MaskedContent[] = ['fill', 'original', 'latent noise', 'latent nothing'];

/** Tolerances of the references; filled images are blurred many times. */
const [EXACT, IMAGE, FILLED] = [0, 1, 2];

function inpaintOf({ parameters, inputs }: Img2imgCase, files: CaseFiles): Inpaint | null {
  if (inputs?.['mask'] === undefined) return null;
  const { mask_blur: blur = 4, mask_blur_x: x = blur, mask_blur_y: y = blur } = parameters;
  const { inpaint_full_res: full = true, inpaint_full_res_padding: padding = 0 } = parameters;
  return {
    mask: files.input('mask'),
    blur: { x, y },
    inverted: parameters.inpainting_mask_invert === 1,
    rounded: parameters.mask_round ?? true,
    onlyMasked: full ? { padding } : null,
    maskedContent: MASKED_CONTENTS[parameters.inpainting_fill ?? 0] ?? 'fill',
    ...(inputs['latent_mask'] !== undefined && { latentMask: files.input('latent_mask') }),
  };
}

/** Noise of one batch, as the program has it. */
function noiseOf({ parameters, options }: Img2imgCase, batch: number, size: LatentSize): Float32Array {
  const { seed, subseed = 1, subseed_strength: strength = 0, batch_size: images } = parameters;
  const { seed_resize_from_w: width = 0, seed_resize_from_h: height = 0 } = parameters;
  const stream = createNoiseStream(
    {
      source: options.randn_source === 'NV' ? 'philox' : 'torch-cpu',
      subseedStrength: strength,
      etaNoiseSeedDelta: options.eta_noise_seed_delta ?? 0,
      ...(width > 0 && height > 0 && { resizeFrom: { width, height } }),
    },
    Array.from({ length: images }, (_, i) => {
      const image = batch * images + i;
      return { seed: BigInt(seed + (strength === 0 ? image : 0)), subseed: BigInt(subseed + image) };
    }),
    size,
    8,
  );
  return stream.first().map((value) => value * (parameters.initial_noise_multiplier ?? 1));
}

async function* img2imgChecks(reference: Img2imgCase, files: CaseFiles): AsyncGenerator<Check> {
  const { parameters, options, images = {}, tensors = {} } = reference;
  const { width, height, resize_mode: resizeMode = 0, batch_size: batchSize } = parameters;
  const inpaint = inpaintOf(reference, files);
  const upscaler = upscalerNamed(options.upscaler_for_img2img ?? null);
  const prepared = await prepareImg2img({
    image: files.input('init_image'),
    size: { width, height },
    resizeMode,
    background: readColour(options.img2img_background_color ?? '#ffffff'),
    inpaint,
    ...(upscaler && { upscaler }),
  });
  const tolerance = inpaint && inpaint.maskedContent !== 'original' ? FILLED : IMAGE;
  yield* preparedChecks(reference, files, prepared, tolerance);

  const size: LatentSize = [4, Math.floor(height / 8), Math.floor(width / 8)];
  const cells = { height: size[1], width: size[2] };
  const encoded = encode(signedPlanes(prepared.image));
  const clean =
    resizeMode === 3 ? interpolate(encoded, cells, { mode: 'bilinear', antialias: false }) : encoded;
  const mask = prepared.mask && latentMask(prepared.mask.latent, cells, inpaint?.rounded ?? true);
  const init = startOf(reference, inpaint, repeat(clean.data, batchSize), mask, size);
  if (tensors['init_latent'] !== undefined)
    yield checkTensor('init_latent', init, await files.tensor('init_latent'));
  if (tensors['mask'] !== undefined && mask) yield await maskCheck(files, mask);
  if (tensors['noise'] !== undefined)
    yield checkTensor('noise', noiseOf(reference, 0, size), await files.tensor('noise'));
  if (tensors['image_conditioning'] !== undefined) {
    const weight = options.inpainting_mask_weight ?? 1;
    const extra = inpaintConditioning(signedPlanes(prepared.image), prepared.mask?.image ?? null, {
      cells,
      rounded: inpaint?.rounded ?? true,
      weight,
    });
    const joined = Float32Array.from([...extra.mask.data, ...encode(extra.visible).data]);
    yield checkTensor(
      'image_conditioning',
      repeat(joined, batchSize),
      await files.tensor('image_conditioning'),
    );
  }

  const returned: Record<string, Pixels> = {};
  for (let batch = 0; batch < parameters.n_iter; batch++) {
    const sampled = sampleImg2img(init, noiseOf(reference, batch, size));
    const blended = mask ? blendLatents(init, sampled, mask) : sampled;
    for (let i = 0; i < batchSize; i++) {
      const result = await finishImg2img(decodedPixels(decode(imageOf(blended, i, size))), {
        mask: prepared.mask,
        putsOverlay: options.overlay_inpaint ?? true,
        colourTarget: options.img2img_color_correction === true ? prepared.image : null,
        ...(upscaler && { upscaler }),
      });
      Object.assign(returned, labelled(result, batch * batchSize + i));
    }
  }
  yield* stageChecks(reference, files);
  yield checkValues('returned', Object.keys(returned), reference.returned);
  for (const label of Object.keys(images)) {
    const actual = returned[label];
    if (!actual) continue;
    const corrected = options.img2img_color_correction === true;
    yield corrected
      ? checkMostPixels(label, actual, files.image(label), COLOUR_TOLERANCE)
      : checkPixels(label, actual, files.image(label), tolerance);
  }
}

const FITS: readonly Fit[] = ['stretch', 'crop', 'fill', 'latent'];
const FILLS: readonly InpaintFill[] = ['fill', 'original', 'latent-noise', 'latent-nothing'];

/** The same by the stages of the engine; a job has one mask and a white background. */
async function* stageChecks(reference: Img2imgCase, files: CaseFiles): AsyncGenerator<Check> {
  const { options, parameters, inputs, images = {}, tensors = {} } = reference;
  if (options.img2img_background_color !== undefined || inputs?.['latent_mask'] !== undefined) return;
  const stages = await openStages();
  const filled = inputs?.['mask'] !== undefined && parameters.inpainting_fill !== 1;
  let index = 0;
  let isFirst = true;
  for await (const { starts, finished } of stages.run(
    jobOf(reference, files),
    reference.conditioning_key === 'hybrid',
  )) {
    const [start] = starts;
    if (isFirst && start) {
      const { init, noise, extraChannels } = start;
      for (const [label, data] of [
        ['init_latent', init],
        ['noise', noise],
        ['image_conditioning', extraChannels?.data],
      ] as const) {
        if (tensors[label] === undefined || !data) continue;
        yield { ...checkTensor(label, data, await files.tensor(label)), label: `${label} of the stages` };
      }
      isFirst = false;
    }
    for (const image of finished) {
      for (const [label, pixels] of Object.entries(labelled(image, index++))) {
        if (images[label] === undefined) continue;
        const of = `${label} of the stages`;
        yield options.img2img_color_correction === true
          ? checkMostPixels(of, pixels, files.image(label), COLOUR_TOLERANCE)
          : checkPixels(of, pixels, files.image(label), filled ? FILLED : IMAGE);
      }
    }
  }
}

function jobOf({ parameters, options, inputs }: Img2imgCase, files: CaseFiles): GenerateJob {
  const {
    seed,
    subseed = 1,
    subseed_strength: strength = 0,
    batch_size: batchSize,
    n_iter: batches,
  } = parameters;
  const { seed_resize_from_w: fromWidth = 0, seed_resize_from_h: fromHeight = 0 } = parameters;
  const { mask_blur: blur = 4, mask_blur_x: x = blur, mask_blur_y: y = blur } = parameters;
  const { inpaint_full_res: full = true, inpaint_full_res_padding: padding = 0 } = parameters;
  const image = toPng(files.input('init_image'));
  const init = {
    fit: FITS[parameters.resize_mode ?? 0] ?? 'stretch',
    ...(options.img2img_color_correction === true && { colorCorrection: true }),
  };
  const job = textToImage({
    prompt: 'a',
    seeds: Array.from({ length: batchSize * batches }, (_, i) => BigInt(seed + (strength === 0 ? i : 0))),
    width: parameters.width,
    height: parameters.height,
    batchSize,
    strength: 0.75,
    steps: 20,
    sampler: { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} },
    noise: {
      source: options.randn_source === 'NV' ? 'philox' : 'torch-cpu',
      subseedStrength: strength,
      etaNoiseSeedDelta: options.eta_noise_seed_delta ?? 0,
      initialMultiplier: parameters.initial_noise_multiplier ?? 1,
      ...(fromWidth > 0 && fromHeight > 0 && { resizeFrom: { width: fromWidth, height: fromHeight } }),
    },
  });
  return {
    ...job,
    images: job.images.map((spec, i) => ({ ...spec, subseed: BigInt(subseed + i) })),
    init:
      inputs?.['mask'] === undefined
        ? imageInit([image], init)
        : maskedInit(
            [image],
            {
              kind: 'image',
              mask: toPng(files.input('mask')),
              invert: parameters.inpainting_mask_invert === 1,
            },
            {
              ...init,
              fill: FILLS[parameters.inpainting_fill ?? 0] ?? 'fill',
              blur: { x, y },
              round: parameters.mask_round ?? true,
              area: full ? { padding } : 'whole',
              overlay: options.overlay_inpaint ?? true,
            },
          ),
  };
}

/** Latents a batch begins as. */
function startOf(
  reference: Img2imgCase,
  inpaint: Inpaint | null,
  latents: Float32Array,
  mask: Planes | null,
  size: LatentSize,
): Float32Array {
  if (!inpaint || !mask) return latents;
  const parameters = { ...reference.parameters, initial_noise_multiplier: 1, subseed_strength: 0 };
  return maskedLatents(latents, mask, inpaint.maskedContent, noiseOf({ ...reference, parameters }, 0, size));
}

function* preparedChecks(
  { images = {}, paste_to: pasteTo }: Img2imgCase,
  files: CaseFiles,
  { image, mask }: PreparedImg2img,
  tolerance: number,
): Generator<Check> {
  const region = mask?.pasteTo ?? null;
  const box = region && [region.x1, region.y1, region.x2 - region.x1, region.y2 - region.y1];
  yield checkValues('paste_to', box, pasteTo);
  if (images['init_image'] !== undefined)
    yield checkPixels('init_image', image, files.image('init_image'), tolerance);
  if (!mask) return;
  if (images['image_mask'] !== undefined) {
    yield checkPixels('image_mask', mask.image, toGrey(files.image('image_mask')), IMAGE);
  }
  if (images['mask_for_overlay'] !== undefined) {
    // Twice a blurred value that is off by 1.
    yield checkPixels('mask_for_overlay', mask.forOverlay, toGrey(files.image('mask_for_overlay')), 2);
  }
  if (images['overlay'] !== undefined)
    yield checkPixels('overlay', mask.overlay, files.image('overlay'), IMAGE);
}

/** A cell may flip whose value is within 1/255 of one half: the blur is in fixed point. */
async function maskCheck(files: CaseFiles, mask: Planes): Promise<Check> {
  const expected = await files.tensor('mask');
  const flipped = mask.data.filter(
    (share, i) => Math.abs(1 - share - (expected.data[i] ?? NaN)) > 1 / 255,
  ).length;
  return { label: 'mask', error: flipped, tolerance: EXACT };
}

function labelled({ image, byProducts }: FinishedImage, index: number): Record<string, Pixels> {
  const suffix = index === 0 ? '' : `-${index}`;
  const made = byProducts?.();
  return {
    [`result${suffix}`]: image,
    ...(made && { [`mask${suffix}`]: made.mask, [`mask_composite${suffix}`]: made.composite }),
  };
}

/** Whole runs from an image. */
export const a1111Img2imgKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-img2img': kindRunner<Img2imgCase>('a1111-img2img', img2imgChecks),
};
