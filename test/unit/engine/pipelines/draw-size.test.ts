import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseDrawSize } from '#engine/pipelines/draw-size.ts';
import { emojiMini } from '#library/packs/emoji-mini.ts';

test.for([
  [256, 256, 256, 256],
  [512, 512, 256, 256],
  [1024, 1024, 256, 256],
  [1152, 896, 256, 192],
  [256, 192, 256, 192],
  [64, 64, 256, 256],
  [768, 256, 384, 128],
] as const)('%i×%i is drawn at %i×%i', ([width, height, drawnWidth, drawnHeight]) => {
  expect(chooseDrawSize(emojiMini, { width, height })).toEqual({ width: drawnWidth, height: drawnHeight });
});

test('whatever is asked, the networks can run it and it is no larger than the trained size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 4096 }), fc.integer({ min: 8, max: 4096 }), (width, height) => {
      const drawn = chooseDrawSize(emojiMini, { width, height });
      expect(drawn.width % 64).toBe(0);
      expect(drawn.height % 64).toBe(0);
      expect(drawn.width * drawn.height).toBeLessThanOrEqual(256 * 256);
    }),
  );
});
