import { expect, it } from 'vitest';
import { withoutDoubles } from '#engine/vision/find-named.ts';

const at = (left: number, score: number) => ({
  box: { left, top: 0, right: left + 10, bottom: 10 },
  score,
});

it('keeps the most certain of things in nearly the same rectangle, and the most certain first', () => {
  // Of 10 × 10, moved by 1, 9 of 11 columns are shared; moved by 2, 8 of 12.
  const [best, double, beside, far] = [at(0, 0.9), at(1, 0.5), at(2, 0.4), at(50, 0.95)];
  expect(withoutDoubles([beside, double, best, far])).toEqual([far, best, beside]);
});
