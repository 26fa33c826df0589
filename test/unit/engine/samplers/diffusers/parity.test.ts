import { expect, test } from 'vitest';
import { cases } from '../../../../parity/schedulers.ts';

const FIXTURES = new URL('../../../../fixtures', import.meta.url).pathname;

/**
 * These runs of two schedulers feed their analytic network values up to 10^7, whose sine turns the last bit of a
 * float32 into another number; the parity suite's tolerance for them is what they move by then.
 */
const CHAOTIC = /ScoreSdeVe|KarrasVeScheduler sd1.5 epsilon 20/;

test('final latents are those of diffusers', async () => {
  let count = 0;
  for await (const { name, error, tolerance, supported } of cases(FIXTURES)) {
    expect(supported, name).toBe(true);
    expect(error, name).toBeLessThanOrEqual(CHAOTIC.test(name) ? tolerance : 1e-5);
    count++;
  }
  expect(count).toBeGreaterThanOrEqual(67);
});
