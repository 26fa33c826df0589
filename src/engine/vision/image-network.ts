import type { FloatTensor, Session } from '#engine/runtime/runtime.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';

/** What is taken from each channel of 0 … 1, and what the rest is divided by. */
export interface Normalisation {
  mean: readonly number[];
  std: readonly number[];
}

/** Of networks trained on ImageNet. */
export const IMAGENET: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** RGB as planes. @param white the sample that becomes 1 before it is normalised */
export function toInput(rgb: Pixels, { mean, std }: Normalisation, white = 255): Planes {
  const { width, height, data } = rgb;
  const planes = createPlanes({ channels: 3, height, width });
  const area = width * height;
  for (let i = 0; i < planes.data.length; i++) {
    const channel = Math.floor(i / area);
    const sample = (data[(i % area) * 3 + channel] ?? 0) / white;
    planes.data[i] = (sample - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  }
  return planes;
}

/** The size of images that the graph itself names. @param input its input for them; the first by default */
export function namedSize(session: Session, input = session.inputNames[0]): Size | undefined {
  const [height, width] = input === undefined ? [] : session.inputDims(input).slice(-2);
  return typeof height === 'number' && typeof width === 'number' && height > 0 && width > 0
    ? { width, height }
    : undefined;
}

/**
 * Runs an imported network that makes one plane of an image.
 * @returns its first output
 * @throws AppError `unsupported_feature` where that is no plane, and what the runtime throws
 */
export async function runOnImage(pack: AddOnPack, session: Session, image: Planes): Promise<Planes> {
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const { data, channels, height, width } = image;
  const outputs =
    input === undefined
      ? {}
      : await session.run({
          [input]: { type: 'float32', data: Float32Array.from(data), dims: [1, channels, height, width] },
        });
  const plane = output === undefined ? undefined : toPlane(outputs[output]);
  if (plane) return plane;
  throw new AppError(
    'unsupported_feature',
    `${pack.title} does not turn an image into a map of it. Choose another network.`,
    { detail: { model: pack.id } },
  );
}

/** A tensor whose last two sides are those of an image, all others 1. */
function toPlane(tensor: FloatTensor | undefined): Planes | undefined {
  const [height, width] = tensor?.dims.slice(-2) ?? [];
  if (!tensor || height === undefined || width === undefined || tensor.data.length !== height * width)
    return undefined;
  return { channels: 1, height, width, data: tensor.data };
}
