import type { LoadedModel } from '#engine/models/model.ts';
import { decodeLatents } from '#engine/stages/decode/decode-latents.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { decodedPixels } from '#imaging/a1111/img2img-result.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { families, type PreviewMap } from '#protocol/families.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { SamplingRun } from './sampling-run.ts';

/**
 * What the first image of a batch looks like by now; null before the first step has ended. By default one pixel for each
 * latent cell, of the family's linear map, for which no network runs.
 * @throws AppError as {@link decodeLatents}, if a network is needed
 */
export async function previewOf(
  run: RunContext,
  { previewBy = 'map' }: GenerateJob,
  model: LoadedModel,
  sampling: Pick<SamplingRun, 'estimate' | 'read'>,
): Promise<Pixels | null> {
  const decoder = await decoderOf(previewBy, model);
  const latents = sampling.estimate(0, decoder?.scalingFactor ?? 1);
  if (!latents) return null;
  if (decoder) return decodeLatents(run.runtime, decoder, latents, sampling.read);
  const [, , height = 0, width = 0] = latents.dims;
  return previewByMap(families[model.pack.family].previewMap, await sampling.read(latents), {
    height,
    width,
  });
}

/** The model with the decoder that previews are made by; null where the map makes them. */
async function decoderOf(
  previewBy: NonNullable<GenerateJob['previewBy']>,
  model: LoadedModel,
): Promise<LoadedModel | null> {
  if (previewBy === 'vae') return model;
  const tiny = previewBy === 'taesd' ? await model.tinyDecoder() : undefined;
  return tiny ? { ...model, vaeDecoder: tiny, scalingFactor: 1 } : null;
}

/**
 * Latents as RGB, a pixel for each cell (A1111's "Approx cheap": modules/sd_vae_approx.py).
 * @param latents [channels, height, width], at the scale the UNet has them
 */
export function previewByMap(
  { weights, bias }: PreviewMap,
  latents: Float32Array,
  { height, width }: { height: number; width: number },
): Pixels {
  const area = height * width;
  const planes = new Float32Array(3 * area);
  bias.forEach((value, colour) => planes.fill(value, colour * area, (colour + 1) * area));
  weights.forEach((row, channel) => {
    row.forEach((weight, colour) => {
      for (let cell = 0; cell < area; cell++) {
        const at = colour * area + cell;
        planes[at] = (planes[at] ?? 0) + weight * (latents[channel * area + cell] ?? 0);
      }
    });
  });
  return decodedPixels({ channels: 3, height, width, data: planes });
}
