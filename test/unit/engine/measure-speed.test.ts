import { measureSpeed } from '#engine/measure-speed.ts';
import { expect, it } from 'vitest';
import { openNodeRuntime } from '../../support/node-engine.ts';

it('measures the speed of the CPU on a part of a UNet', async () => {
  const runtime = await openNodeRuntime();
  try {
    const speed = await measureSpeed(runtime);
    // From a slow core without vectors to a hundred fast ones.
    expect(speed).toBeGreaterThan(1e7);
    expect(speed).toBeLessThan(1e14);
  } finally {
    await runtime.close();
  }
});
