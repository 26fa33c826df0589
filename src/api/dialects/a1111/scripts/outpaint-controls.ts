import { f } from '#api/dialects/a1111/fields.ts';
import { slider, type ScriptArguments, type ScriptControl } from '#api/dialects/a1111/script-controls.ts';
import type { OutpaintDirection } from '#imaging/a1111/scripts/outpaint-size.ts';

const DIRECTIONS = ['left', 'right', 'up', 'down'] as const satisfies readonly OutpaintDirection[];

export const pixelsControl = slider('Pixels to expand', 128, 8, 256, 8);

export const directionControl: ScriptControl = {
  label: 'Outpainting direction',
  value: DIRECTIONS,
  choices: DIRECTIONS,
};

/** The sides of an argument. @throws AppError for what is no list of names */
export function readDirections(args: ScriptArguments, place: number): OutpaintDirection[] {
  return args.get(place, f.list(f.oneOf(DIRECTIONS)));
}
