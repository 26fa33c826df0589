import { gridBackground } from '#api/dialects/a1111/grid.ts';
import type { Options } from '#api/dialects/a1111/options.ts';
import type { LegendStyle } from '#imaging/a1111/legends.ts';

/** The style set by the options. */
export function legendStyle(options: Options, margin: number): LegendStyle {
  return {
    margin,
    background: gridBackground(options),
    active: options.grid_text_active_color,
    inactive: options.grid_text_inactive_color,
  };
}
