import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { IMAGENET, namedSize, runOnImage, toInput, type Normalisation } from './image-network.ts';
import { openVisionNetwork } from './open-network.ts';

/** What a network was trained on, by its `network`. Source: rembg, rembg/sessions/. */
const INPUTS: Readonly<Record<string, Normalisation & { side: number }>> = {
  u2net: { ...IMAGENET, side: 320 },
  isnet: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1], side: 1024 },
  'isnet-anime': { mean: IMAGENET.mean, std: [1, 1, 1], side: 1024 },
};

const U2NET = { ...IMAGENET, side: 320 };

/**
 * What an image is about, by an imported U²-Net or IS-Net. Source: rembg, rembg/sessions/base.py and u2net.py: the brightest
 * sample of the image counts as white, and the least and most certain pixels as black and white.
 * @returns grey, as large as the image; null where the network makes no difference between its pixels
 * @throws AppError `unsupported_feature` for a network of another form, and what the runtime throws
 */
export async function findSalient(run: RunContext, pack: AddOnPack, rgb: Pixels): Promise<Pixels | null> {
  const session = await openVisionNetwork(run, pack);
  const input = INPUTS[pack.network ?? ''] ?? U2NET;
  const side = namedSize(session)?.width ?? input.side;
  const small = resize(rgb, { width: side, height: side }, 'lanczos');
  const white = small.data.reduce((most, sample) => Math.max(most, sample), 1);
  const { width, height, data } = await runOnImage(pack, session, toInput(small, input, white));
  const least = data.reduce((a, b) => Math.min(a, b), Infinity);
  const range = data.reduce((a, b) => Math.max(a, b), -Infinity) - least;
  if (!(range > 0)) return null;
  const mask = createPixels({ width, height }, 1);
  data.forEach((value, i) => (mask.data[i] = Math.trunc(((value - least) / range) * 255)));
  return resize(mask, { width: rgb.width, height: rgb.height }, 'lanczos');
}
