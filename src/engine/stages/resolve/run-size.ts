import type { ModelPack } from '#protocol/model.ts';
import type { Size } from '#protocol/job.ts';

/** The largest deviation from the requested aspect ratio at which more pixels are preferred to a closer one. */
const ASPECT_TOLERANCE = 0.02;

/** Models of trained sizes still run at sizes this much smaller. */
const SMALLEST_SHARE = 0.5;

/**
 * The pixels that a model's networks run at for an image of a size. That size itself, to which exported ONNX graphs
 * add what their halvings need; or, of models that know only what they were trained for, that size where it is near, else
 * the one with the trained number of pixels that comes closest to its aspect.
 */
export function chooseRunSize(
  pack: Pick<ModelPack, 'sizing' | 'trainedSizes' | 'latent' | 'weights'>,
  asked: Size,
): Size {
  if (pack.sizing === 'trained') return chooseTrainedSize(pack, asked);
  const multiple = pack.weights === 'onnx' ? pack.latent.sizeMultiple : pack.latent.downscale;
  const roundUp = (side: number) => Math.ceil(side / multiple) * multiple;
  return { width: roundUp(asked.width), height: roundUp(asked.height) };
}

function chooseTrainedSize(
  { trainedSizes, latent: { sizeMultiple: multiple } }: Pick<ModelPack, 'trainedSizes' | 'latent'>,
  asked: Size,
): Size {
  const trained = trainedSizes.map(([width, height]) => ({ width, height }));
  const area = Math.max(...trained.map(({ width, height }) => width * height));
  const share = (asked.width * asked.height) / area;
  const runs = asked.width % multiple === 0 && asked.height % multiple === 0;
  if (runs && share <= 1 && share >= SMALLEST_SHARE) return asked;

  const aspect = asked.width / asked.height;
  const same = trained.find(({ width, height }) => Math.abs(width / height / aspect - 1) < ASPECT_TOLERANCE);
  return same ?? nearestOfArea(aspect, area, multiple);
}

/** Among sizes of at most `area` pixels whose sides are multiples of `multiple`: the aspect, then the pixels. */
function nearestOfArea(aspect: number, area: number, multiple: number): Size {
  let best: Size & { error: number } = { width: multiple, height: multiple, error: Infinity };
  for (let width = multiple; width * multiple <= area; width += multiple) {
    const tallest = Math.floor(area / width / multiple) * multiple;
    const height = Math.min(tallest, Math.max(multiple, Math.round(width / aspect / multiple) * multiple));
    // Within the tolerance more pixels win; outside of it the aspect does.
    const off = Math.abs(Math.log(width / height / aspect));
    const error = Math.max(off, ASPECT_TOLERANCE) + (1 - (width * height) / area) * 0.1;
    if (error < best.error) best = { width, height, error };
  }
  return { width: best.width, height: best.height };
}
