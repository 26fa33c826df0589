import { decodeImage } from '#codecs/decode-image.ts';
import type { LegendStyle } from '#imaging/a1111/legends.ts';
import { flatten } from '#imaging/a1111/resize.ts';
import { drawPlot } from '#imaging/a1111/scripts/xyz-grid.ts';
import { xyzInfotext } from '#imaging/a1111/scripts/xyz-infotext.ts';
import type { XyzPlot } from '#imaging/a1111/scripts/xyz-plot.ts';
import { toRgba } from '#imaging/pillow/convert.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { StoredImage, UpscaleJob } from '#protocol/job.ts';
import type { PlotAxes } from './plan-plot.ts';

/** A1111's: black on white, without margins. */
const LEGEND: LegendStyle = {
  margin: 0,
  background: [255, 255, 255],
  active: '#000000',
  inactive: '#999999',
};

/** What the grid is of. */
interface Plotted {
  plot: XyzPlot;
  axes: PlotAxes;
  /** The places of the images. */
  cells: readonly { index: number }[];
}

/**
 * The grid of a plot with its legends, in a job that changes nothing of it, so that it becomes an image of the gallery.
 * @param images of the first cells, in their order; one that is missing stays black
 * @throws AppError `not_found` where all are missing
 */
export async function gridJob(
  { plot, axes, cells }: Plotted,
  images: readonly (StoredImage | undefined)[],
): Promise<UpscaleJob> {
  const pixels = new Map<number, Pixels>();
  for (const [i, { index }] of cells.entries()) {
    const image = images[i];
    if (image) pixels.set(index, await readPixels(image.blob));
  }
  const first = images.find((image) => image !== undefined);
  if (!first) throw new AppError('not_found', 'All of its images have been deleted.');
  const { all } = drawPlot(plot, pixels, { hasLegend: true, style: LEGEND });
  const { prompt, seed } = first;
  const known = { prompt, seed: BigInt(seed), infotext: xyzInfotext(first.infotext, axes) };
  return {
    task: 'upscale',
    sources: [{ image: await pngOf(all), known }],
    post: [{ kind: 'upscale', upscaler: 'None', size: { factor: 1 } }],
    output: { format: 'png', quality: 1, texts: true },
  };
}

async function readPixels(file: Blob): Promise<Pixels> {
  return flatten({ ...(await decodeImage(file)), channels: 4 }, [255, 255, 255]);
}

/** Encoded by the browser, beside this thread. */
async function pngOf(pixels: Pixels): Promise<Blob> {
  const { width, height, data } = toRgba(pixels);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
  return canvas.convertToBlob();
}
