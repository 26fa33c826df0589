import type { TensorValue } from '#engine/runtime/runtime.ts';
import {
  controlInput,
  FULL_SCALE,
  residualsOf,
  residualWeight,
  takesPart,
  type Control,
} from '#engine/stages/control/control.ts';
import type { Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { GuidanceRow } from './guidance.ts';
import { conditioningInputs, type GuidedUnet } from './unet.ts';

/** @param latents of the rows, one after the other */
export type ResidualSum = (
  latents: Float32Array,
  rows: readonly GuidanceRow[],
  timestep: number,
  evaluation: number,
) => Promise<Record<string, TensorValue>>;

/** Runs the ControlNets that take part and sums up what they add within the UNet, by its inputs; zeros where none does. */
export function createResidualSum({ controls, shape, evaluations }: GuidedUnet): ResidualSum {
  const [first] = controls;
  if (!first) return () => Promise.resolve({});
  return async (latents, rows, timestep, evaluation) => {
    const residuals = residualsOf(first.net, rows.length, shape);
    const sums = new Map(residuals.map(({ input, values }) => [input, new Float32Array(values)]));
    for (const control of controls.filter((each) => takesPart(each, evaluation, evaluations))) {
      const outputs = await control.net.run({
        sample: {
          type: 'float32',
          data: latents,
          dims: [rows.length, shape.channels, shape.height, shape.width],
        },
        ...conditioningInputs(control.net, timestep, rows),
        ...FULL_SCALE,
        controlnet_cond: { type: 'float32', ...controlInput(control, rows) },
      });
      for (const [index, { output, input, dims }] of residuals.entries()) {
        const [sum, values] = [sums.get(input), outputs[output]?.data];
        if (!sum || !values) continue;
        const length = sum.length / rows.length;
        const region = regionOf(control, dims);
        for (const [row, own] of rows.entries()) {
          const weight = residualWeight(control, own, index, residuals.length);
          for (let i = row * length; i < (row + 1) * length; i++) {
            sum[i] = (sum[i] ?? 0) + weight * (region?.[i % region.length] ?? 1) * (values[i] ?? 0);
          }
        }
      }
    }
    return Object.fromEntries(
      residuals.map(({ input, dims }) => [
        input,
        { type: 'float32', data: sums.get(input) ?? new Float32Array(), dims },
      ]),
    );
  };
}

const regions = new WeakMap<Planes, Map<string, Float32Array>>();

/**
 * Where a ControlNet has its effect, by the cells of a residual; undefined for everywhere.
 * Source: ControlNet extension, scripts/hook.py, `apply_effective_region_mask`.
 */
function regionOf({ region }: Control, dims: readonly number[]): Float32Array | undefined {
  if (!region) return undefined;
  const [, , height = 1, width = 1] = dims;
  const known = regions.get(region) ?? new Map<string, Float32Array>();
  regions.set(region, known);
  const key = `${width}×${height}`;
  const cells =
    known.get(key) ?? interpolate(region, { width, height }, { mode: 'bilinear', antialias: false }).data;
  known.set(key, cells);
  return cells;
}
