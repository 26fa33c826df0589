import type { LoadedModel, VaeParts } from '#engine/models/model.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { runOuterPart } from '#engine/stages/pixels/image-tiles.ts';
import {
  EDGE_CELLS,
  inLessMemory,
  runInTiles,
  runWholeOrTiled,
  tensorOf,
  tileSide,
  toPlanes,
} from '#engine/stages/pixels/tiles.ts';
import { decodedPixels } from '#imaging/a1111/img2img-result.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';

/**
 * Latents of one image, scaled for the VAE, as RGB; in tiles where one pass over the image does not fit.
 * @param read hands over the latents' numbers, for tiles to be cut from
 * @param rounding of samples: to the nearest as diffusers, or down as A1111 and ComfyUI
 * @throws AppError `not_a_number` for a broken image
 */
export async function decodeLatents(
  runtime: Runtime,
  model: LoadedModel,
  latents: TensorValue,
  read: (latents: TensorValue) => Promise<Float32Array>,
  rounding: 'nearest' | 'down' = 'nearest',
): Promise<Pixels> {
  const { vaeDecoder, pack } = model;
  const [input, output] = [vaeDecoder.inputNames[0], vaeDecoder.outputNames[0]];
  if (input === undefined || output === undefined) {
    throw new AppError('integrity_failed', 'The VAE decoder has no input or no output.');
  }
  const [, channels = 0, height = 0, width = 0] = latents.dims;
  const { downscale } = pack.latent;
  const side = tileSide(pack);
  const parts = model.vaeParts('vae_decoder');

  const decode = async (value: TensorValue): Promise<Planes> =>
    toPlanes((await vaeDecoder.run({ [input]: value }))[output], 'VAE decoder');
  const planes = await runWholeOrTiled(
    { width: width * downscale, height: height * downscale },
    runtime.backend.provider,
    side,
    {
      whole: () => decode(latents),
      tiled: async () => {
        const whole = { channels, height, width, data: await read(latents) };
        const tile = { input: side / downscale, output: side, edge: EDGE_CELLS * downscale };
        const blended = () => runInTiles(whole, tile, (cut) => decode(tensorOf(cut)));
        return parts ? inLessMemory(() => decodeInParts(parts, whole, side), blended) : blended();
      },
    },
    parts?.bytesPerPixel,
  );
  if (!planes.data.every(Number.isFinite)) {
    throw new AppError(
      'not_a_number',
      'The image came out as NaN (not a number). Try another VAE, or run on the CPU.',
    );
  }
  return rounding === 'down' ? decodedPixels(planes) : roundedPixels(planes);
}

/** The inner part on the whole image, the outer one in tiles. */
async function decodeInParts(
  { inner, outer, reach, cell }: VaeParts,
  latents: Planes,
  side: number,
): Promise<Planes> {
  const outputs = await (await inner()).run({ latent_sample: tensorOf(latents) });
  return runOuterPart(toPlanes(outputs['hidden'], 'VAE decoder'), {
    session: await outer(),
    input: 'hidden',
    output: 'sample',
    reach,
    side: side / cell,
    cell: { input: 1, output: cell },
  });
}

/** Planes of red, green and blue in −1 … 1 as RGB, rounded to the nearest. */
function roundedPixels({ width, height, data: planes }: Planes): Pixels {
  const area = width * height;
  const pixels = createPixels({ width, height }, 3);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[i * 3 + channel] = ((planes[channel * area + i] ?? 0) / 2 + 0.5) * 255;
    }
  }
  return pixels;
}
