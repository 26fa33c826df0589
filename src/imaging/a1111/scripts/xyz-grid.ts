import { imageGrid } from '#imaging/a1111/grid.ts';
import { canWriteText, withLegends, type LegendStyle } from '#imaging/a1111/legends.ts';
import { filled } from '#imaging/pillow/paste.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';
import type { XyzPlot } from './xyz-plot.ts';

interface DrawOptions {
  hasLegend: boolean;
  style: LegendStyle;
}

/** The grids of a plot. */
export interface DrawnPlot {
  /** One for each value of the Z axis. */
  grids: readonly Pixels[];
  /** All of them in a row. */
  all: Pixels;
  /** Whether the requested legends could be written. */
  isLegible: boolean;
}

/**
 * Puts a plot's images together (A1111 scripts/xyz_grid.py, `draw_xyz_grid`). Cells without an image are black.
 * @param cells RGB, by their places
 */
export function drawPlot(
  { columns, rows, grids: count, labels }: XyzPlot,
  cells: ReadonlyMap<number, Pixels>,
  { hasLegend, style }: DrawOptions,
): DrawnPlot {
  const [first = { width: 0, height: 0 }] = cells.values();
  const legendOf = (label: string) => [{ text: hasLegend ? label : '', active: true }];
  const grids = Array.from({ length: count }, (_, z) => {
    const tiles = Array.from(
      { length: columns * rows },
      (__, i) => cells.get(z * columns * rows + i) ?? filled(first, [0, 0, 0]),
    );
    const legends = { columns: labels.x.map(legendOf), rows: labels.y.map(legendOf) };
    const grid = imageGrid(tiles, { columns, rows }, style.background);
    return hasLegend ? withLegends(grid, largest(tiles), legends, style) : grid;
  });
  const row = imageGrid(grids, { columns: count, rows: 1 }, style.background);
  return {
    grids,
    all: hasLegend
      ? withLegends(
          row,
          largest(grids),
          { columns: labels.z.map(legendOf), rows: [legendOf('')] },
          { ...style, margin: 0 },
        )
      : row,
    isLegible: canWriteText(),
  };
}

function largest(images: readonly Size[]): Size {
  return {
    width: Math.max(...images.map(({ width }) => width)),
    height: Math.max(...images.map(({ height }) => height)),
  };
}
