import { AppError } from '#protocol/error.ts';

/**
 * Images of one size side by side, row by row (A1111, modules/images.py, `image_grid`).
 * @param rows as the option `n_rows`: -1 as many as columns, 0 one per batch
 * @throws AppError `unsupported_feature` where there is no canvas
 */
export async function composeGrid(files: readonly Blob[], rows: number, batchSize: number): Promise<Blob> {
  if (typeof OffscreenCanvas === 'undefined') {
    throw new AppError(
      'unsupported_feature',
      'A grid of images needs a browser: switch return_grid or save_images off.',
    );
  }
  const tiles = await Promise.all(files.map((file) => createImageBitmap(file)));
  const { width = 0, height = 0 } = tiles[0] ?? {};
  const { columns, rowCount } = planGrid(tiles.length, rows, batchSize);
  const canvas = new OffscreenCanvas(columns * width, rowCount * height);
  const context = canvas.getContext('2d', { alpha: false });
  tiles.forEach((tile, index) => {
    context?.drawImage(tile, (index % columns) * width, Math.floor(index / columns) * height);
    tile.close();
  });
  return canvas.convertToBlob({ type: 'image/png' });
}

/** Rows and columns for so many images; the last row may have gaps. */
export function planGrid(
  count: number,
  rows: number,
  batchSize: number,
): { columns: number; rowCount: number } {
  const wanted = rows > 0 ? rows : rows === 0 ? batchSize : Math.round(Math.sqrt(count));
  const rowCount = Math.min(wanted, count);
  return { columns: Math.ceil(count / rowCount), rowCount };
}
