import type { LoadedModel } from '#engine/models/model.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { Pixels } from '#engine/stages/pixels/resize.ts';
import { runInTiles, runWholeOrTiled, tileSide, toPlanes, type Planes } from '#engine/stages/pixels/tiles.ts';

/**
 * Latents of one image, scaled for the VAE, as pixels; in tiles where one pass over the image does not fit.
 * @param read hands over the latents' numbers, for tiles to be cut from
 * @throws AppError `not_a_number` for a broken image
 */
export async function decodeLatents(
  runtime: Runtime,
  model: LoadedModel,
  latents: TensorValue,
  read: (latents: TensorValue) => Promise<Float32Array>,
): Promise<Pixels> {
  const { vaeDecoder, pack } = model;
  const [input, output] = [vaeDecoder.inputNames[0], vaeDecoder.outputNames[0]];
  if (input === undefined || output === undefined) {
    throw new AppError('integrity_failed', 'The VAE decoder has no input or no output.');
  }
  const [, channels = 0, height = 0, width = 0] = latents.dims;
  const { downscale } = pack.latent;
  const side = tileSide(pack);

  const decode = async (value: TensorValue): Promise<Planes> =>
    toPlanes((await vaeDecoder.run({ [input]: value }))[output], 'VAE decoder');
  const planes = await runWholeOrTiled(
    { width: width * downscale, height: height * downscale },
    runtime.backend.provider,
    side,
    {
      whole: () => decode(latents),
      tiled: async () =>
        runInTiles(
          { channels, height, width, data: await read(latents) },
          { input: side / downscale, output: side },
          (tile) =>
            decode({ type: 'float32', data: tile.data, dims: [1, tile.channels, tile.height, tile.width] }),
        ),
    },
  );
  return { width: planes.width, height: planes.height, data: toBytes(planes) };
}

/** Planes of red, green and blue in −1 … 1 as opaque RGBA, rounded to the nearest as diffusers does. */
function toBytes({ width, height, data: planes }: Planes): Uint8ClampedArray<ArrayBuffer> {
  const area = width * height;
  const data = new Uint8ClampedArray(area * 4);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = planes[channel * area + i] ?? NaN;
      if (!Number.isFinite(value)) {
        throw new AppError('not_a_number', 'The image came out as numbers that are none.');
      }
      data[i * 4 + channel] = (value / 2 + 0.5) * 255;
    }
    data[i * 4 + 3] = 255;
  }
  return data;
}
