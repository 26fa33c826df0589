import { planUpscale, planVary, type UpscalePlan } from '#imaging/fooocus/upscale-or-vary.ts';
import type { ImageInit, Init, InpaintFill, Pass, Size, UpscalerName } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import type { InpaintInput } from './inpaint-input.ts';
import type { InputImage, InputImages } from './input-images.ts';
import type { CommonRequest } from './schema.ts';
import { refusalOf } from './wrong-value.ts';

/** Where a generation starts, and what follows from that for its pass. */
export interface Start {
  init: Init;
  pass: Pick<Pass, 'size' | 'resizeTo' | 'strength'>;
  /** Pixels that are generated, which is less than the finished image where only a part of it is inpainted. */
  generated: Size;
}

/** The upscaling network that Fooocus always has. Source: Fooocus modules/config.py, `downloading_upscale_model`. */
export const FOOOCUS_UPSCALER = 'fooocus_upscaler_s409985e5';

/** Fooocus inpaints at about as many pixels as SDXL was trained at. */
export const INPAINT_SIZE: Size = { width: 1024, height: 1024 };

/** Above this strength nothing of the masked part is meant to stay. Source: Fooocus modules/async_worker.py. */
const FILL_FROM = 0.99;

/** What makes images larger: Fooocus's own network, or the first one installed; without one they are resized. */
export function chooseUpscaler(addOns: readonly AddOnInfo[]): UpscalerName | null {
  const networks = usableAddOns(addOns, 'upscaler');
  return (networks.find(({ pack }) => pack.id === FOOOCUS_UPSCALER) ?? networks[0])?.pack.id ?? null;
}

/** What a request's upscaling does to its image; null where it upscales none. @throws AppError see {@link planStart} */
export function readUpscale({ upscaleOrVary }: InputImages, request: CommonRequest): UpscalePlan | null {
  if (upscaleOrVary?.method.kind !== 'upscale') return null;
  const { image, method } = upscaleOrVary;
  const { overwrite_upscale_strength: overwriteStrength } = request.advanced_params;
  return orRefuse(() => planUpscale(image.size, method.factor, { fast: method.fast, overwriteStrength }));
}

/**
 * The start of a generation.
 * @param size of what starts from noise
 * @throws AppError a refusal of an image too narrow to be resized
 */
export function planStart(
  images: InputImages,
  request: CommonRequest,
  size: Size,
  upscaler: UpscalerName | null,
): Start {
  if (images.inpaint) return inpaintStart(images.inpaint, request, upscaler);
  const { upscaleOrVary } = images;
  const upscale = readUpscale(images, request);
  if (upscaleOrVary && upscale?.diffusion) {
    const { resized, diffusion } = upscale;
    return imageStart(upscaleOrVary.image, { resized, ...diffusion }, upscaler);
  }
  if (upscaleOrVary?.method.kind === 'vary') {
    const { image, method } = upscaleOrVary;
    const { overwrite_vary_strength: overwriteStrength } = request.advanced_params;
    const plan = orRefuse(() => planVary(image.size, method.strength, overwriteStrength));
    return imageStart(image, plan, null);
  }
  return { init: { from: 'noise' }, pass: { size, strength: 1 }, generated: size };
}

/** A plan of an image, or its refusal. */
function orRefuse<Plan>(plan: () => Plan): Plan {
  try {
    return plan();
  } catch (thrown) {
    throw refusalOf('input_image', thrown);
  }
}

function imageStart(
  image: InputImage,
  { resized, final, denoisingStrength }: { resized: Size; final: Size; denoisingStrength: number },
  upscaler: UpscalerName | null,
): Start {
  return {
    init: { from: 'image', ...initOf(image, upscaler) },
    pass: { size: final, resizeTo: resized, strength: denoisingStrength },
    generated: final,
  };
}

function inpaintStart(
  { image, mask, expand, field, size }: InpaintInput,
  { advanced_params: advanced }: CommonRequest,
  upscaler: UpscalerName | null,
): Start {
  const { inpaint_strength: strength, inpaint_disable_initial_latent: isEmpty } = advanced;
  return {
    init: {
      from: 'masked',
      ...initOf(image, upscaler),
      mask,
      ...(expand && { expand }),
      fill: fillOf(strength, isEmpty),
      blur: { x: 0, y: 0 },
      round: true,
      area: { field },
      overlay: true,
    },
    pass: { size: INPAINT_SIZE, strength },
    generated: size,
  };
}

/** What is in a masked part when its inpainting starts. */
export function fillOf(strength: number, isEmpty: boolean): InpaintFill {
  if (isEmpty) return 'latent-nothing';
  return strength > FILL_FROM ? 'fill' : 'original';
}

function initOf({ file }: InputImage, upscaler: UpscalerName | null): Omit<ImageInit, 'from'> {
  return {
    rules: 'fooocus',
    images: [file],
    fit: 'stretch',
    ...(upscaler !== null && { resizeBy: upscaler }),
  };
}
