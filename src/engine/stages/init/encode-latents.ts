import type { LoadedModel, VaeParts } from '#engine/models/model.ts';
import type { FloatTensor, Runtime } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import { runOuterPart } from '#engine/stages/pixels/image-tiles.ts';
import {
  EDGE_CELLS,
  inLessMemory,
  runInTiles,
  runWholeOrTiled,
  tensorOf,
  tileSide,
} from '#engine/stages/pixels/tiles.ts';
import type { Planes } from '#imaging/planes.ts';

/** What a VAE encoder says of an image's latents: a normal distribution for each, at the VAE's own scale. */
export interface Posterior {
  mean: Float32Array;
  /** Null where the encoder only gives the mean. */
  deviation: Float32Array | null;
}

/** Limits of the log variance; diffusers, models/autoencoders/vae.py, `DiagonalGaussianDistribution`. */
const [LOWEST_LOGVAR, HIGHEST_LOGVAR] = [-30, 20];

/**
 * An image, red, green and blue in −1 … 1, through the model's VAE encoder, in tiles where one pass does not fit.
 * @throws AppError `unsupported_feature` where the model has none, and what the runtime throws
 */
export async function encodeLatents(
  runtime: Runtime,
  model: LoadedModel,
  planes: Planes,
): Promise<Posterior> {
  const encoder = await model.vaeEncoder();
  const [input] = encoder.inputNames;
  if (input === undefined) throw new AppError('integrity_failed', 'The VAE encoder has no input.');
  const { latent } = model.pack;
  const side = tileSide(model.pack);
  const parts = model.vaeParts('vae_encoder');

  const encode = async (image: Planes): Promise<Planes> => {
    const outputs = await encoder.run({ [input]: tensorOf(image) });
    return joinOutputs(encoder.outputNames.map((name) => outputs[name]));
  };
  const moments = await runWholeOrTiled(
    planes,
    runtime.backend.provider,
    side,
    {
      whole: () => encode(planes),
      tiled: () => {
        const tile = { input: side, output: side / latent.downscale, edge: EDGE_CELLS };
        const blended = () => runInTiles(planes, tile, encode);
        return parts ? inLessMemory(() => encodeInParts(parts, planes, side), blended) : blended();
      },
    },
    parts?.bytesPerPixel,
  );
  const length = latent.channels * moments.height * moments.width;
  const logvar = moments.data.subarray(length, 2 * length);
  return {
    mean: moments.data.subarray(0, length),
    deviation:
      logvar.length === length
        ? logvar.map((value) => Math.exp(0.5 * Math.min(Math.max(value, LOWEST_LOGVAR), HIGHEST_LOGVAR)))
        : null,
  };
}

/** The outer part in tiles, the inner one on the whole image. */
async function encodeInParts(
  { inner, outer, reach, cell }: VaeParts,
  image: Planes,
  side: number,
): Promise<Planes> {
  const hidden = await runOuterPart(image, {
    session: await outer(),
    input: 'sample',
    output: 'hidden',
    reach,
    side: side / cell,
    cell: { input: cell, output: 1 },
  });
  const session = await inner();
  const outputs = await session.run({ hidden: tensorOf(hidden) });
  return joinOutputs(session.outputNames.map((name) => outputs[name]));
}

/** Mean and log variance in one, as diffusers' encoder has them before it splits them. */
function joinOutputs(outputs: readonly (FloatTensor | undefined)[]): Planes {
  const [, , height, width] = outputs[0]?.dims ?? [];
  if (height === undefined || width === undefined) {
    throw new AppError('integrity_failed', 'The VAE encoder’s output is not an image.');
  }
  const data = new Float32Array(outputs.reduce((sum, output) => sum + (output?.data.length ?? 0), 0));
  let position = 0;
  for (const output of outputs) {
    data.set(output?.data ?? [], position);
    position += output?.data.length ?? 0;
  }
  return { channels: data.length / (height * width), height, width, data };
}
