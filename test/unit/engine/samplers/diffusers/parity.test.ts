import { expect, test } from 'vitest';
import { cases } from '../../../../parity/schedulers.ts';

const FIXTURES = new URL('../../../../fixtures', import.meta.url).pathname;

/**
 * These runs of two schedulers feed their analytic network values up to 10^7, whose sine turns the last bit of a
 * float32 into another number; the parity suite's note tells by how much their results move with it.
 */
const CHAOTIC = /ScoreSdeVe|KarrasVeScheduler sd1.5 epsilon 20/;

test('final latents are those of diffusers', async () => {
  let count = 0;
  for await (const { name, error, supported } of cases(FIXTURES)) {
    expect(supported, name).toBe(true);
    if (!CHAOTIC.test(name)) expect(error, name).toBeLessThan(1e-5);
    count++;
  }
  expect(count).toBeGreaterThanOrEqual(67);
});
