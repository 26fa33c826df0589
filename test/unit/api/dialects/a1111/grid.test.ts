import { expect, it } from 'vitest';
import { pixelsOf, SMALL, txt2img } from '../../../../support/a1111.ts';

it.each([
  [3, -1, [2, 2]],
  [9, -1, [3, 3]],
  [6, 2, [3, 2]],
  [6, 0, [2, 3]],
  [2, 5, [1, 2]],
])(
  'puts a grid of %i images, n_rows %i, in front of those that are to be saved',
  async (count, rows, shape) => {
    const batchSize = rows === 0 ? 3 : 1;
    const { answer, info } = await txt2img({
      ...SMALL,
      batch_size: batchSize,
      n_iter: count / batchSize,
      save_images: true,
      override_settings: { n_rows: rows },
    });
    expect(answer.images).toHaveLength(count + 1);
    expect(info.infotexts).toHaveLength(count + 1);
    const { width, height } = pixelsOf(answer.images[0]);
    expect([width / SMALL.width, height / SMALL.height]).toEqual(shape);
  },
);

it('fills empty cells with the colour of the options, or leaves none', async () => {
  const body = { ...SMALL, n_iter: 3, save_images: true };
  const grid = await txt2img({ ...body, override_settings: { grid_background_color: '#102030' } });
  const { data, channels } = pixelsOf(grid.answer.images[0]);
  expect([...data.slice(-channels)].slice(0, 3)).toEqual([0x10, 0x20, 0x30]);
  const full = await txt2img({ ...body, override_settings: { grid_prevent_empty_spots: true } });
  expect(pixelsOf(full.answer.images[0])).toMatchObject({ width: 3 * SMALL.width, height: SMALL.height });
});
