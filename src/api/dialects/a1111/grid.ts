import { decodePng, encodePng } from '#codecs/png.ts';

/**
 * Pictures of one size side by side, row by row (A1111, modules/images.py, `image_grid`).
 * @param rows as the option `n_rows`: -1 as many as columns, 0 one per batch
 */
export async function drawGrid(files: readonly Blob[], rows: number, batchSize: number): Promise<Blob> {
  const tiles = await Promise.all(
    files.map(async (file) => decodePng(new Uint8Array(await file.arrayBuffer()))),
  );
  const [first] = tiles;
  if (!first) throw new RangeError('A grid needs a picture.');
  const wanted = rows > 0 ? rows : rows === 0 ? batchSize : Math.round(Math.sqrt(tiles.length));
  const rowCount = Math.min(wanted, tiles.length);
  const columns = Math.ceil(tiles.length / rowCount);
  const width = columns * first.width;
  const data = new Uint8Array(width * rowCount * first.height * 3);
  tiles.forEach((tile, index) => {
    const left = (index % columns) * first.width;
    const top = Math.floor(index / columns) * first.height;
    for (let y = 0; y < tile.height; y++) {
      for (let x = 0; x < tile.width; x++) {
        const from = (y * tile.width + x) * tile.channels;
        data.set(tile.data.subarray(from, from + 3), ((top + y) * width + left + x) * 3);
      }
    }
  });
  return new Blob([encodePng({ width, height: rowCount * first.height, channels: 3, data })], {
    type: 'image/png',
  });
}
