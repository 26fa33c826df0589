import { slider, type ScriptArguments, type ScriptControl } from '#api/dialects/a1111/script-controls.ts';
import type { OutpaintDirection } from '#imaging/a1111/scripts/outpaint-size.ts';

const DIRECTIONS = ['left', 'right', 'up', 'down'] as const satisfies readonly OutpaintDirection[];

export const pixelsControl = slider('Pixels to expand', 128, 8, 256, 8);

export const directionControl: ScriptControl = {
  label: 'Outpainting direction',
  value: DIRECTIONS,
  choices: DIRECTIONS,
};

/** The sides of an argument. Unknown names have no effect, as in the original. */
export function readDirections(args: ScriptArguments, place: number): OutpaintDirection[] {
  const names = args.texts(place);
  return DIRECTIONS.filter((direction) => names.includes(direction));
}
