import { expect, it } from 'vitest';
import { planGrid } from '#api/dialects/a1111/grid.ts';

it.each([
  [3, -1, 1, { columns: 2, rowCount: 2 }],
  [9, -1, 1, { columns: 3, rowCount: 3 }],
  [6, 2, 1, { columns: 3, rowCount: 2 }],
  [6, 0, 3, { columns: 2, rowCount: 3 }],
  [2, 5, 1, { columns: 1, rowCount: 2 }],
])('lays %i images with n_rows %i and batches of %i out as %j', (count, rows, batchSize, grid) => {
  expect(planGrid(count, rows, batchSize)).toEqual(grid);
});
