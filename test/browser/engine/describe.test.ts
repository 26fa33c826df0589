import { expect, it } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { describer } from '#library/packs/describer.ts';
import type { DescribeJob } from '#protocol/job.ts';
import guitar from '../../fixtures/described/guitar.png?url';
import { openBrowserRuntime } from '../../support/browser-engine.ts';

// SwiftShader would take minutes for the VAE encoder: on WebGPU it is tested with the other architectures.
it('the included describer names an image of the built-in model', async () => {
  const engine = createEngine(
    () => openBrowserRuntime('wasm'),
    ({ id }) =>
      async (path) =>
        (await fetch(`/models/${id}/${path}`)).blob(),
  );
  const image = await (await fetch(guitar)).blob();
  const job: DescribeJob = { task: 'describe', image, describer: { kind: 'built-in', as: 'prompt' } };
  const texts: string[] = [];
  await engine.run([describer], job, (event) => {
    if (event.type === 'by-product' && event.artifact.kind === 'text') texts.push(event.artifact.text);
  });
  await engine.unload();
  expect(texts).toEqual(['guitar, gradient style']);
});
