import { expect, it } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { describer } from '#library/packs/describer.ts';
import { describerOf } from '#protocol/describer.ts';
import type { DescribeJob, TextArtifact } from '#protocol/job.ts';
import guitar from '../../fixtures/described/guitar.png?url';
import { openBrowserRuntime, WITH_ALL_ON_GPU } from '../../support/browser-engine.ts';
import { captionerPack, deepDanbooruPack, florencePack } from '../../support/tiny-describers.ts';

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

it('imported describers say the same on WebGPU as on wasm', async () => {
  const filled = [captionerPack(), ...(WITH_ALL_ON_GPU ? [florencePack(), deepDanbooruPack()] : [])];
  const packs = filled.map(({ pack }) => pack);
  const image = await stripes(['#f30', '#f20', '#d39', '#f31']);
  const describeOn = async (choice: 'wasm' | 'webgpu') => {
    const engine = createEngine(
      () => openBrowserRuntime(choice),
      ({ id }) => {
        const files = filled.find(({ pack }) => pack.id === id)?.files;
        return (path) => Promise.resolve(files?.[path]);
      },
    );
    const made: TextArtifact[] = [];
    for (const pack of packs) {
      const describer = describerOf(pack, { extent: 'paragraph' });
      await engine.run(packs, { task: 'describe', image, describer }, (event) => {
        if (event.type === 'by-product' && event.artifact.kind === 'text') made.push(event.artifact);
      });
    }
    await engine.unload();
    return made;
  };
  const expected = await describeOn('wasm');
  const actual = await describeOn('webgpu');
  const texts = ['a red image', 'a red image detail', 'red hair'].slice(0, filled.length);
  expect(expected.map(({ text }) => text)).toEqual(texts);
  expect(actual.map(({ text }) => text)).toEqual(texts);
  // The mean of a quarter of a million samples.
  for (const [index, { score }] of (expected[2]?.tags ?? []).entries())
    expect(actual[2]?.tags[index]?.score).toBeCloseTo(score, 2);
});

/** An image of one color beside the other. */
async function stripes(colors: readonly string[]): Promise<Blob> {
  const canvas = new OffscreenCanvas(10 * colors.length, 24);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('There is no canvas.');
  for (const [index, color] of colors.entries()) {
    context.fillStyle = color;
    context.fillRect(10 * index, 0, 10, 24);
  }
  return canvas.convertToBlob();
}
