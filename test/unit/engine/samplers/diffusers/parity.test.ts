import { expect, test } from 'vitest';
import { cases } from '../../../../parity/schedulers.ts';

const FIXTURES = new URL('../../../../fixtures', import.meta.url).pathname;

/**
 * These two run their analytic network at values up to 10^7, where its sine turns the last bit of a float32
 * into a different number: no two implementations of `sin` agree on their trajectories.
 */
const CHAOTIC = /KarrasVe|ScoreSdeVe/;

test('final latents are those of diffusers', async () => {
  let count = 0;
  for await (const { name, error, supported } of cases(FIXTURES)) {
    expect(supported, name).toBe(true);
    if (!CHAOTIC.test(name)) expect(error, name).toBeLessThan(1e-5);
    count++;
  }
  expect(count).toBeGreaterThanOrEqual(67);
});
