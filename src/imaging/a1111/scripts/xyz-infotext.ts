import { writePairs, type InfotextPair } from '#codecs/infotext.ts';
import { isSeedAxis } from './xyz-axes.ts';
import type { XyzAxisValues } from './xyz-plot.ts';

/** An axis as it was requested. */
export interface WrittenXyzAxis extends XyzAxisValues {
  /** The values as the infotext repeats them. */
  written: string;
}

/**
 * The infotext of a plot's grid. Source: A1111 scripts/xyz_grid.py, `cell`.
 * @param infotext of the grid's first cell
 * @param axes X and Y of a grid; of all grids together Z too
 */
export function xyzInfotext(
  infotext: string,
  axes: Readonly<Partial<Record<'x' | 'y' | 'z', WrittenXyzAxis>>>,
): string {
  const { x, y, z } = axes;
  return addPairs(infotext, [
    ['Script', 'X/Y/Z plot'],
    ...(x ? axisPairs('X', x) : []),
    ...(y ? axisPairs('Y', y) : []),
    ...(z ? axisPairs('Z', z) : []),
  ]);
}

function axisPairs(name: string, { axis, values, written }: WrittenXyzAxis): InfotextPair[] {
  if (axis.effect === 'nothing') return [];
  return [
    [`${name} Type`, axis.label],
    [`${name} Values`, written],
    ...(isSeedAxis(axis) ? ([[`Fixed ${name} Values`, values.join(', ')]] as const) : []),
  ];
}

/** An infotext with more pairs, before its `Version`. */
function addPairs(infotext: string, pairs: readonly InfotextPair[]): string {
  const at = infotext.lastIndexOf(', Version: ');
  const end = at < 0 ? infotext.length : at;
  return `${infotext.slice(0, end)}, ${writePairs(pairs)}${infotext.slice(end)}`;
}
