import type { TensorValue } from '#engine/runtime/runtime.ts';
import { takesPart } from '#engine/stages/control/control.ts';
import type { ShownImages } from '#engine/stages/image-prompts/read-image-prompts.ts';
import type { GuidanceRow } from './guidance.ts';

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
 * takes part, as in A1111's ControlNet extension (scripts/ipadapter/plugable_ipadapter.py), else nothing.
 */
export function scalesInput({ images }: ShownImages, evaluation: number, evaluations: number): TensorValue {
  const scales = images.map((image) =>
    takesPart({ spec: image, rules: 'a1111' }, evaluation, evaluations) ? image.weight : 0,
  );
  return { type: 'float32', data: Float32Array.from(scales), dims: [scales.length] };
}

/** The inputs of a UNet written for these IP-Adapters, in their order. */
export function imagePromptInputs(
  groups: readonly ShownImages[],
  rows: readonly GuidanceRow[],
  evaluation: number,
  evaluations: number,
): Record<string, TensorValue> {
  return Object.fromEntries(
    groups.flatMap((group, index) => [
      [`ip_hidden_states_${index}`, { type: 'float32', ...tokensInput(group, rows) }],
      [`ip_scale_${index}`, scalesInput(group, evaluation, evaluations)],
    ]),
  );
}
