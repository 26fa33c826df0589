import type { RunContext } from '#engine/stages/run/context.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { inpaintConditioning, type InpaintConditioning } from '#imaging/a1111/inpaint-latents.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { createPlanes } from '#imaging/planes.ts';
import { encodeLatents, type Posterior } from './encode-latents.ts';
import type { InitInput } from './init-latents.ts';
import type { PassSource } from './pass-source.ts';
import { isInpaintingModel } from './sampling-start.ts';

/** What an inpainting model is shown of an image. */
export interface Hidden {
  /** Of the image with the masked part in grey. */
  posterior: Posterior;
  /** 1 for latent cells that are generated, else 0. */
  cells: Float32Array;
}

/** What an inpainting model is shown of each image of a batch; null for other models. */
export async function encodeHidden(run: RunContext, input: InitInput): Promise<Hidden[] | null> {
  const { batch, pass, model, sources } = input;
  if (!isInpaintingModel(model.unet, pass.shape)) return null;
  const hidden: Hidden[] = [];
  for (const index of batch.images.keys()) {
    const source = sources?.[index];
    const key = source?.mask && source.content.kind === 'pixels' ? source.content.pixels : pass;
    const known = pass.encoded.hidden.get(key);
    const shown = known ?? (await encode(run, input, hide(input, source)));
    pass.encoded.hidden.set(key, shown);
    hidden.push(shown);
  }
  return hidden;
}

/** Without a mask all of the image is hidden, as A1111 has inpainting models generate. */
export function hide(
  { job: { init }, pass: { runSize, shape } }: InitInput,
  source: PassSource | undefined,
): InpaintConditioning {
  const fit = (pixels: Pixels) => resize(pixels, runSize, 'lanczos');
  if (!source?.mask || source.content.kind !== 'pixels') {
    const grey = createPlanes({ channels: 3, ...runSize });
    return inpaintConditioning(grey, null, { cells: shape, rounded: true, weight: 1 });
  }
  return inpaintConditioning(signedPlanes(fit(source.content.pixels)), fit(source.mask.shown), {
    cells: shape,
    rounded: source.mask.isRound,
    weight: init.from === 'masked' ? (init.hide ?? 1) : 1,
  });
}

async function encode(
  run: RunContext,
  { model }: InitInput,
  { visible, mask }: InpaintConditioning,
): Promise<Hidden> {
  return { posterior: await encodeLatents(run.runtime, model, visible), cells: mask.data };
}
