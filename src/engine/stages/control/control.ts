import { evaluate } from '#engine/graph/dimension.ts';
import type { LoadedModel } from '#engine/models/model.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { GuidanceRow } from '#engine/stages/denoise/guidance.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';
import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import { readPixels } from '#engine/stages/pixels/read-image.ts';
import { channelOf } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec } from '#protocol/job.ts';
import {
  maskedImage,
  prepareControlImage,
  type ControlRules,
  type ControlTarget,
  type MakeMap,
} from './control-image.ts';
import { prepareRestoration, type EncodeMeans, type Restoration } from './restoration.ts';

/** A ControlNet and the image it looks at. */
export interface Control {
  net: Session;
  isPooled: boolean;
  spec: Pick<ControlSpec, 'strength' | 'start' | 'end' | 'balance' | 'softness' | 'layerWeights'>;
  rules: ControlRules;
  /** Has no part in the pass, and no image. */
  isOff?: boolean;
  /** One plane over the image: 1 where it has all of its effect … 0 where it has none. */
  region?: Planes | undefined;
  restoration?: Restoration | undefined;
  /** One for each image of the batch, or one for all: see {@link prepareControlImage}. */
  images: readonly Planes[];
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

/** The residual from which on softness no longer counts; Fooocus has it for SDXL's ten residuals. */
const LAST_SOFTENED = 9;

/**
 * Reads a job's control images.
 * @param makeMap runs the preprocessors that are networks
 * @param inits the init images of the batch; none where it starts from noise
 * @throws AppError `invalid_request` for files that are not images, and for ControlNets made for other UNets
 */
export async function prepareControls(
  model: LoadedModel,
  specs: readonly ControlSpec[],
  shape: LatentShape,
  makeMap: MakeMap,
  rules: ControlRules = 'a1111',
  inits: readonly PreparedInit[] = [],
  { passIndex = 0, encode = cannotEncode }: PassOfControls = {},
): Promise<Control[]> {
  const { unet, controlNets, pack } = model;
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
        `The ControlNet “${spec.id}” does not fit the UNet of ${pack.title}. Choose another ControlNet.`,
      );
    }
    const [, , height = 8, width = 8] = net.inputDims('controlnet_cond');
    const size = {
      width: evaluate(width, symbolsOf(1, shape)),
      height: evaluate(height, symbolsOf(1, shape)),
    };
    const target = { size, rules, makeMap };
    const restores = spec.preprocessor.kind === 'inpaint' && spec.preprocessor.restores === true;
    controls.push({
      net,
      isPooled,
      spec: isSoftened(spec, passIndex) ? { ...spec, balance: 'prompt' } : spec,
      rules,
      ...(isInPass(spec.passes, passIndex)
        ? {
            images: await prepareImages(spec, target, inits),
            region: spec.region && (await readRegion(spec.region)),
            restoration: restores
              ? await prepareRestoration(model, await maskedImage(spec, target), spec.strength, encode)
              : undefined,
          }
        : { isOff: true, images: [] }),
    });
  }
  return controls;
}

/** Which pass of the job controls are prepared for, and what encodes images there. */
export interface PassOfControls {
  passIndex?: number;
  encode?: EncodeMeans;
}

const cannotEncode: EncodeMeans = () =>
  Promise.reject(new AppError('internal', 'There is no VAE to encode a control image.'));

/** Whether what takes part in some of the passes takes part in this one. */
export function isInPass(passes: ControlSpec['passes'], passIndex: number): boolean {
  return passes === undefined || (passes === 'first') === (passIndex === 0);
}

/** In hires fix the extension softens what follows canny's edges (scripts/hook.py, `high_res_fix_forced_soft_injection`). */
function isSoftened({ preprocessor, balance }: ControlSpec, passIndex: number): boolean {
  return (
    passIndex > 0 &&
    balance === 'even' &&
    preprocessor.kind === 'module' &&
    preprocessor.name.includes('canny')
  );
}

/** The first channel of a region's image, 0 … 1. */
export async function readRegion(file: Blob): Promise<Planes> {
  const { width, height, data } = channelOf(await readPixels(file), 0);
  return { channels: 1, height, width, data: Float32Array.from(data, (sample) => sample / 255) };
}

/** A ControlNet's inputs besides the UNet's and its image. The weight of each row is applied to its output. */
export const FULL_SCALE: Readonly<Record<string, TensorValue>> = {
  conditioning_scale: { type: 'float32', data: Float32Array.of(1), dims: [1] },
};

/** The control images of a batch: one for all, unless they are of init images that differ. */
async function prepareImages(
  spec: ControlSpec,
  target: ControlTarget,
  inits: readonly PreparedInit[],
): Promise<Planes[]> {
  const prepared = new Map<PreparedInit | undefined, Planes>();
  const images: Planes[] = [];
  for (const init of inits.length > 0 ? inits : [undefined]) {
    const image = prepared.get(init) ?? (await prepareControlImage(spec, { ...target, init }));
    prepared.set(init, image);
    images.push(image);
  }
  return prepared.size === 1 ? images.slice(0, 1) : images;
}

/** A control's images as the input of a run, one for each row. */
export function controlInput(
  { images }: Control,
  rows: readonly Pick<GuidanceRow, 'image'>[],
): { data: Float32Array; dims: readonly number[] } {
  const [first] = images;
  if (!first) throw new AppError('internal', 'A ControlNet has no image.');
  const { channels, height, width, data: one } = first;
  const data = new Float32Array(rows.length * one.length);
  rows.forEach(({ image }, row) => data.set((images[image] ?? first).data, row * one.length));
  return { data, dims: [rows.length, channels, height, width] };
}

/**
 * Whether a control takes part in this evaluation of so many. A1111's extension asks whether the part of the run that is over
 * is within its start and end (scripts/hook.py); diffusers also whether the part after the step is (`controlnet_keep`).
 */
export function takesPart(
  {
    spec: { start, end },
    rules,
    isOff = false,
  }: { spec: Pick<ControlSpec, 'start' | 'end'>; rules: ControlRules; isOff?: boolean },
  evaluation: number,
  evaluations: number,
): boolean {
  return (
    !isOff &&
    evaluation / evaluations >= start &&
    (evaluation + (rules === 'diffusers' ? 1 : 0)) / evaluations <= end
  );
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
 * Source: Mikubill/sd-webui-controlnet, scripts/hook.py (`soft_injection`, `cfg_injection`); diffusers, `guess_mode`; Fooocus
 * modules/patch.py, `patched_cldm_forward`, for softness.
 */
export function residualWeight(
  {
    isPooled,
    rules,
    spec: { strength, balance, softness = 0, layerWeights },
  }: Pick<Control, 'isPooled' | 'rules' | 'spec'>,
  { unconditional }: Pick<GuidanceRow, 'unconditional'>,
  index: number,
  count: number,
): number {
  if (unconditional && (balance === 'control' || isPooled)) return 0;
  if (layerWeights) return layerWeights[index] ?? 0;
  if (balance === 'even') return strength * (1 - softness * Math.max(0, 1 - index / LAST_SOFTENED));
  // diffusers' guess mode: from a tenth to all.
  const soft = rules === 'diffusers' ? 10 ** (index / (count - 1) - 1) : SOFTENING ** (count - 1 - index);
  return strength * soft;
}

/** What the symbols in the graphs' dimensions stand for. */
function symbolsOf(rows: number, { height, width }: LatentShape): Record<string, number> {
  return { batch: rows, height, width };
}
