import { evaluate, type Dimension } from '#engine/graph/dimension.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import { takesPart } from '#engine/stages/control/control.ts';
import type { ShownImages } from '#engine/stages/image-prompts/read-image-prompts.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { GuidanceRow } from './guidance.ts';
import type { LatentShape } from './unet.ts';

/** The tokens of the images that go through one IP-Adapter: `data` row after row, each row image after image. */
export function tokensInput(
  { images }: ShownImages,
  rows: readonly Pick<GuidanceRow, 'unconditional'>[],
): { data: Float32Array; dims: readonly number[] } {
  const [{ tokens }] = images;
  const length = tokens.count * tokens.width;
  const data = new Float32Array(rows.length * images.length * length);
  let to = 0;
  for (const { unconditional } of rows) {
    for (const { tokens: own } of images) {
      data.set(unconditional ? own.hidden : own.shown, to);
      to += length;
    }
  }
  return { data, dims: [rows.length, images.length * tokens.count, tokens.width] };
}

/**
 * How much each image of an IP-Adapter counts in this evaluation of so many: its weight in the part of the run in which it
 * takes part, as in A1111's ControlNet extension (scripts/ipadapter/plugable_ipadapter.py), else nothing. Weights by block are
 * above 0 or do not count.
 * @param dims of the input: one number for each image, or one for each block and image
 */
export function scalesInput(
  { images }: ShownImages,
  dims: readonly Dimension[],
  evaluation: number,
  evaluations: number,
): TensorValue {
  const blocks = dims.length === 2 ? Number(dims[0]) : 1;
  const scales = Array.from({ length: blocks }, (_, block) =>
    images.map(({ weight, layerWeights, ...image }) => {
      if (!takesPart({ spec: image, rules: 'a1111' }, evaluation, evaluations)) return 0;
      return layerWeights ? Math.max(0, layerWeights[block] ?? 0) : weight;
    }),
  ).flat();
  const shape = dims.length === 2 ? [blocks, images.length] : [images.length];
  return { type: 'float32', data: Float32Array.from(scales), dims: shape };
}

/** The regions of image prompts at each size that the UNet takes them; the same in every step. */
export function regionInputs(
  unet: Session,
  groups: readonly ShownImages[],
  { height, width }: LatentShape,
): Record<string, TensorValue> {
  const inputs: Record<string, TensorValue> = {};
  for (const name of unet.inputNames) {
    const group = groups[Number(/^ip_region_(\d+)_/.exec(name)?.[1] ?? NaN)];
    if (!group) continue;
    const [, , rows = 1, columns = 1] = unet.inputDims(name).map((side) => evaluate(side, { height, width }));
    const area = rows * columns;
    const data = new Float32Array(group.images.length * area).fill(1);
    for (const [image, { region }] of group.images.entries()) {
      const size = { height: rows, width: columns };
      if (region)
        data.set(interpolate(region, size, { mode: 'bilinear', antialias: false }).data, image * area);
    }
    inputs[name] = { type: 'float32', data, dims: [group.images.length, 1, rows, columns] };
  }
  return inputs;
}

/** The inputs of a UNet written for these IP-Adapters, in their order. */
export function imagePromptInputs(
  unet: Session,
  groups: readonly ShownImages[],
  rows: readonly GuidanceRow[],
  evaluation: number,
  evaluations: number,
): Record<string, TensorValue> {
  return Object.fromEntries(
    groups.flatMap((group, index) => [
      [`ip_hidden_states_${index}`, { type: 'float32', ...tokensInput(group, rows) }],
      [`ip_scale_${index}`, scalesInput(group, unet.inputDims(`ip_scale_${index}`), evaluation, evaluations)],
    ]),
  );
}
