import { findModel } from '#api/models.ts';
import { httpException } from '#api/dialects/a1111/errors.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import { resolveSampler } from '#api/dialects/a1111/samplers.ts';
import type { ScriptArguments } from '#api/dialects/a1111/script-controls.ts';
import { isSeedAxis, NO_XYZ_AXIS, xyzAxesOf, type XyzAxis } from '#imaging/a1111/scripts/xyz-axes.ts';
import type { WrittenXyzAxis } from '#imaging/a1111/scripts/xyz-infotext.ts';
import { checkXyzValues } from '#imaging/a1111/scripts/xyz-plot.ts';
import { convertXyzValues, readXyzValues } from '#imaging/a1111/scripts/xyz-values.ts';
import type { ModelInfo } from '#protocol/model.ts';

interface ReadOptions {
  isImg2img: boolean;
  /** Values are text also where there is a list to choose from. */
  isText: boolean;
  /** Seeds of -1 are random for each image. */
  keepsRandom: boolean;
  models: readonly ModelInfo[];
  /** A random seed for −1. */
  fixSeed: (seed: bigint) => bigint;
}

/**
 * Reads an axis.
 * @param place of the first of its arguments: its type, its values as text, its values from a list
 * @throws AppError for an axis without values, and for values that it cannot have
 */
export function readAxis(args: ScriptArguments, place: number, options: ReadOptions): WrittenXyzAxis {
  const axes = xyzAxesOf(options.isImg2img ? 'img2img' : 'txt2img');
  const axis =
    axes[
      args.choice(
        place,
        axes.map(({ label }) => label),
      )
    ];
  if (!axis || axis.effect === 'nothing') return { axis: NO_XYZ_AXIS, values: [0], written: '' };
  const text = args.get(place + 1, f.string());
  const chosen = args.texts(place + 2);
  const isChosen = axis.choices !== undefined && !options.isText && chosen.length > 0;
  const values = isChosen ? convertXyzValues(axis.kind, chosen) : readXyzValues(axis.kind, text);
  if (values.length === 0) throw httpException(422, `script_args: the axis '${axis.label}' has no values`);
  const read = {
    axis,
    values:
      isSeedAxis(axis) && !options.keepsRandom
        ? values.map((value) => (value === -1 ? Number(options.fixSeed(-1n)) : value))
        : values,
    written: isChosen ? chosen.join(', ') : text,
  };
  checkXyzValues(read, (name) => isKnown(axis, name, options.models));
  return read;
}

function isKnown({ choices }: XyzAxis, name: string, models: readonly ModelInfo[]): boolean {
  return choices === 'samplers'
    ? !resolveSampler(name, null).unknown.includes('sampler_name')
    : findModel(models, name) !== undefined;
}
