import type { Made } from '#engine/stages/decode/decode.ts';
import { fitLatents } from '#engine/stages/init/encode-sources.ts';
import type { PassSource } from '#engine/stages/init/pass-source.ts';
import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import { openUpscalePass } from '#engine/stages/post/open-upscaler.ts';
import { cutMiddle } from '#engine/stages/pixels/cut-middle.ts';
import type { PlannedPass } from '#engine/stages/resolve/resolve.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import { isLatentUpscaler, latentUpscaleModes } from '#imaging/a1111/latent-upscale.ts';
import { resizeImage, resizeImageWith } from '#imaging/a1111/resize.ts';
import { upscalerOf } from '#imaging/a1111/upscaler.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';

/** What the pass before made, and the init images at the size of the pass, which have the masks. */
export interface NextPassInput {
  pass: PlannedPass;
  made: Made;
  inits: readonly PreparedInit[];
}

/**
 * What a pass starts from when it continues another one: its images, or its latents, at the new size. What is larger is cut
 * around the middle, in latents if the networks run at the requested size.
 * Source: A1111 modules/processing.py, `sample_hr_pass`.
 * @throws AppError what an upscaler throws
 */
export const startNextPass: Stage<NextPassInput, PassSource[]> = async (run, { pass, made, inits }) => {
  const contents =
    made.latents.length > 0
      ? made.latents.map((latents) => ({ kind: 'latents', latents: upscaleLatents(latents, pass) }) as const)
      : await upscaleImages(run, made.images, pass);
  return contents.map((content, index) => ({ content, fit: 'cut', mask: inits[index]?.mask ?? null }));
};

function upscaleLatents(latents: Planes, { spec, shape, runSize, model }: PlannedPass): Planes {
  const { size, resizeTo = size, resizeBy = '' } = spec;
  if (!isLatentUpscaler(resizeBy)) return latents;
  const isAsAsked = runSize.width === size.width && runSize.height === size.height;
  const { downscale } = model.pack.latent;
  const cells = {
    width: Math.floor(resizeTo.width / downscale),
    height: Math.floor(resizeTo.height / downscale),
  };
  return fitLatents(
    interpolate(latents, isAsAsked ? cells : shape, latentUpscaleModes[resizeBy]),
    shape,
    'cut',
  );
}

async function upscaleImages(
  run: RunContext,
  images: readonly Pixels[],
  { spec, runSize }: PlannedPass,
): Promise<PassSource['content'][]> {
  const { size, resizeTo = size, resizeBy } = spec;
  const upscalePass = resizeBy === undefined ? null : await openUpscalePass(run, resizeBy);
  const isAsAsked = runSize.width === size.width && runSize.height === size.height;
  const contents: PassSource['content'][] = [];
  for (const image of images) {
    const upscaled = upscalePass
      ? await resizeImageWith(upscalerOf(upscalePass), 0, image, resizeTo)
      : resizeImage(0, image, resizeTo);
    contents.push({ kind: 'pixels', pixels: isAsAsked ? upscaled : cutMiddle(upscaled, size) });
  }
  return contents;
}
