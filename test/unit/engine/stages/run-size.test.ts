import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseRunSize } from '#engine/stages/resolve/run-size.ts';
import { emojiMini } from '#library/packs/emoji-mini.ts';
import { families } from '#protocol/families.ts';

test.for([
  [256, 256, 256, 256],
  [512, 512, 256, 256],
  [1024, 1024, 256, 256],
  [1152, 896, 256, 192],
  [256, 192, 256, 192],
  [64, 64, 256, 256],
  [768, 256, 384, 128],
] as const)('the built-in model runs for %i×%i at %i×%i', ([width, height, runWidth, runHeight]) => {
  expect(chooseRunSize(emojiMini, { width, height })).toEqual({ width: runWidth, height: runHeight });
});

const { sd1, sdxl } = families;

test.for([
  [sd1, 512, 768],
  [sd1, 768, 512],
  [sd1, 520, 392],
  [sd1, 64, 2048],
  [sdxl, 1152, 896],
  [sdxl, 512, 512],
] as const)('a checkpoint runs at exactly the size asked for: %o', ([family, width, height]) => {
  const size = { width, height };
  expect(chooseRunSize({ ...family, weights: 'safetensors' }, size)).toEqual(size);
});

test('exported graphs of a checkpoint run at the next size that they can halve', () => {
  const pack = { ...sd1, weights: 'onnx' } as const;
  expect(chooseRunSize(pack, { width: 512, height: 768 })).toEqual({ width: 512, height: 768 });
  expect(chooseRunSize(pack, { width: 520, height: 392 })).toEqual({ width: 576, height: 448 });
});

test('whatever is asked, the networks can run it and it is no larger than the trained size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 4096 }), fc.integer({ min: 8, max: 4096 }), (width, height) => {
      const size = chooseRunSize(emojiMini, { width, height });
      expect(size.width % 64).toBe(0);
      expect(size.height % 64).toBe(0);
      expect(size.width * size.height).toBeLessThanOrEqual(256 * 256);
    }),
  );
});
