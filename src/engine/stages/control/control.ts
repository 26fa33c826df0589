import { evaluate } from '#engine/graph/dimension.ts';
import type { LoadedModel } from '#engine/models/model.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec } from '#protocol/job.ts';
import { findEdges } from './canny.ts';
import type { Size } from '#protocol/job.ts';
import type { GuidanceRow } from '#engine/stages/denoise/guidance.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import {
  placeInside,
  pixelsToPlanes,
  resizeToCover,
  stretch,
  type Pixels,
} from '#engine/stages/pixels/resize.ts';
import type { Planes } from '#engine/stages/pixels/tiles.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';

/** A ControlNet and the image it looks at. */
export interface Control {
  net: Session;
  isPooled: boolean;
  spec: Pick<ControlSpec, 'strength' | 'start' | 'end' | 'balance'>;
  /** Whether it takes part in a step only where all of the step lies before its end, as in diffusers. */
  endsEarly: boolean;
  /** Red, green and blue in 0 … 1, of the size that the network wants for the latents. */
  image: Planes;
}

/** What ControlNets add within a UNet. */
export interface Residual {
  /** The ControlNet's output, and the UNet's input. */
  output: string;
  input: string;
  dims: readonly number[];
  /** How many numbers it has. */
  values: number;
}

/** How much each deeper residual counts for more where the prompt is trusted; A1111's extension, scripts/hook.py. */
const SOFTENING = 0.825;

/** What is under transparent parts: nothing to go by. */
const BLACK = 0;

/**
 * Reads a job's control images.
 * @param endsEarly see {@link Control}
 * @throws AppError `invalid_request` for files that are no images, and for ControlNets made for other UNets
 */
export async function prepareControls(
  { unet, controlNets, pack }: LoadedModel,
  specs: readonly ControlSpec[],
  shape: LatentShape,
  endsEarly = false,
): Promise<Control[]> {
  const controls: Control[] = [];
  for (const [index, spec] of specs.entries()) {
    const controlNet = controlNets[index];
    if (!controlNet) throw new AppError('internal', `The ControlNet “${spec.id}” was not loaded.`);
    const { session: net, isPooled } = controlNet;
    const residuals = new Map(residualsOf(net, 1, shape).map(({ input, dims }) => [input, dims[1]]));
    const wanted = unet.inputNames.filter((name) => name.includes('_additional_residual'));
    if (!wanted.every((name) => residuals.get(name) === unet.inputDims(name)[1])) {
      throw new AppError(
        'invalid_request',
        `The ControlNet “${spec.id}” was made for another UNet than that of ${pack.title}.`,
      );
    }
    const [, , height = 8, width = 8] = net.inputDims('controlnet_cond');
    const size = {
      width: evaluate(width, symbolsOf(1, shape)),
      height: evaluate(height, symbolsOf(1, shape)),
    };
    controls.push({
      net,
      isPooled,
      spec,
      endsEarly,
      image: pixelsToPlanes(await prepareControlImage(spec, size), 0),
    });
  }
  return controls;
}

/** What a ControlNet is given besides what the UNet is, but for its image. How much counts for which row is decided behind it. */
export const FULL_SCALE: Readonly<Record<string, TensorValue>> = {
  conditioning_scale: { type: 'float32', data: Float32Array.of(1), dims: [1] },
};

/** The dimensions of a control's image, once for each row. */
export function imageDims({ image: { channels, height, width } }: Control, rows: number): readonly number[] {
  return [rows, channels, height, width];
}

/** A control image as its ControlNet will see it. @throws AppError `invalid_request` for what is no image */
export async function prepareControlImage(
  { image, fit, preprocessor }: Pick<ControlSpec, 'image' | 'fit' | 'preprocessor'>,
  size: Size,
): Promise<Pixels> {
  const resize = { stretch, cover: resizeToCover, contain: placeInside }[fit];
  const pixels = await resize(await readImage(image, BLACK), size);
  switch (preprocessor.kind) {
    case 'none':
      return pixels;
    case 'invert':
      return { ...pixels, data: pixels.data.map((value, i) => (i % 4 === 3 ? value : 255 - value)) };
    case 'canny':
      return findEdges(pixels, preprocessor);
  }
}

/**
 * Whether a control takes part in this evaluation of so many. A1111's extension asks whether the part of the run that is over
 * lies within its start and end (scripts/hook.py); diffusers also whether the part behind the step does (`controlnet_keep`).
 */
export function takesPart(
  { spec: { start, end }, endsEarly }: Pick<Control, 'spec' | 'endsEarly'>,
  evaluation: number,
  evaluations: number,
): boolean {
  return evaluation / evaluations >= start && (evaluation + (endsEarly ? 1 : 0)) / evaluations <= end;
}

/** The residuals of a ControlNet for so many rows, the deepest last. */
export function residualsOf(net: Session, rows: number, shape: LatentShape): Residual[] {
  return net.outputNames.map((output) => {
    const dims = net.outputDims(output).map((side) => evaluate(side, symbolsOf(rows, shape)));
    return {
      output,
      input: output.replace(/_residual/, '_additional_residual'),
      dims,
      values: dims.reduce((product, side) => product * side, 1),
    };
  });
}

/**
 * How much of a residual goes to a row of the UNet. Where one side is trusted more than the other, shallow residuals count
 * less; where it is the image, or where that is looked at as a whole, it has no part in what guidance leads away from.
 * Source: Mikubill/sd-webui-controlnet, scripts/hook.py (`soft_injection`, `cfg_injection`).
 */
export function residualWeight(
  { isPooled, spec: { strength, balance } }: Control,
  { unconditional }: Pick<GuidanceRow, 'unconditional'>,
  index: number,
  count: number,
): number {
  if (unconditional && (balance === 'control' || isPooled)) return 0;
  return balance === 'even' ? strength : strength * SOFTENING ** (count - 1 - index);
}

/** What the symbols in the graphs' dimensions stand for. */
function symbolsOf(rows: number, { height, width }: LatentShape): Record<string, number> {
  return { batch: rows, height, width };
}
