import type { LoadedModel } from '#engine/models/model.ts';
import type { TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { Pixels } from './resize.ts';

/** Latents of one picture, scaled for the VAE, as pixels. @throws AppError `not_a_number` for a broken picture */
export async function decodeLatents(model: LoadedModel, latents: TensorValue): Promise<Pixels> {
  const [input, output] = [model.vaeDecoder.inputNames[0], model.vaeDecoder.outputNames[0]];
  if (input === undefined || output === undefined) {
    throw new AppError('integrity_failed', 'The VAE decoder has no input or no output.');
  }
  const outputs = await model.vaeDecoder.run({ [input]: latents });
  const sample = outputs[output];
  const [, , height, width] = sample?.dims ?? [];
  if (!sample || height === undefined || width === undefined) {
    throw new AppError('integrity_failed', 'The VAE decoder’s output is not a picture.');
  }
  return { width, height, data: toBytes(sample.data, width * height) };
}

/** Planes of red, green and blue in −1 … 1 as opaque RGBA, rounded to the nearest as diffusers does. */
function toBytes(planes: Float32Array, area: number): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray(area * 4);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = planes[channel * area + i] ?? NaN;
      if (!Number.isFinite(value)) {
        throw new AppError('not_a_number', 'The picture came out as numbers that are none.');
      }
      data[i * 4 + channel] = (value / 2 + 0.5) * 255;
    }
    data[i * 4 + 3] = 255;
  }
  return data;
}
