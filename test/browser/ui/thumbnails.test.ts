import { expect, test } from 'vitest';
import { thumbnail } from '#ui/controls/thumbnails.ts';
import { pngOf } from '../../support/images.ts';

const imageOf = (id: string, width: number, height: number) => ({
  id,
  blob: pngOf(width, height, () => [200, 40, 60]),
  width,
  height,
});

/** The pixels of the file that an `<img>` is given. */
async function shownSize(image: ReturnType<typeof imageOf>): Promise<[number, number]> {
  const element = document.createElement('img');
  const gone = thumbnail(image)(element);
  await expect.poll(() => element.naturalWidth).toBeGreaterThan(0);
  const size: [number, number] = [element.naturalWidth, element.naturalHeight];
  gone?.();
  return size;
}

test('of a large image a small copy is shown, which is made once; any other as it is', async () => {
  const large = imageOf('large', 1600, 1200);
  expect(await shownSize(large)).toEqual([512, 384]);
  // Its file is not decoded again: what stands in its place is not an image.
  expect(await shownSize({ ...large, blob: new Blob(['gone']) })).toEqual([512, 384]);
  expect(await shownSize(imageOf('small', 640, 480))).toEqual([640, 480]);
});
