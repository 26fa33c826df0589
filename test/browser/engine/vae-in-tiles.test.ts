import { expect, test } from 'vitest';
import { buildAutoencoderKlDecoder } from '#engine/architectures/autoencoder-kl.ts';
import { tensorOf } from '#engine/stages/pixels/tiles.ts';
import { openBrowserRuntime, openFixture, openGraph } from '../../support/browser-engine.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';

test('a tile of a VAE’s outer part is the same on the GPU and the CPU', async () => {
  const network = await openFixture('autoencoder-kl');
  const graph = buildAutoencoderKlDecoder(network.config, { weights: network.weights, part: 'outer' });
  const results = [];
  for (const provider of ['wasm', 'webgpu'] as const) {
    const runtime = await openBrowserRuntime(provider);
    const outer = await openGraph(runtime, graph, network);
    const [norms = 0, groups = 0] = outer.outputDims('measured').map(Number);
    const hidden = Number(outer.inputDims('hidden')[1]);
    results.push(
      await outer.run({
        hidden: tensorOf({ channels: hidden, height: 3, width: 4, data: pseudoRandom(hidden * 12) }),
        // The first row is the tile's margin.
        own: tensorOf({ channels: 1, height: 3, width: 4, data: new Float32Array(12).fill(1, 4) }),
        differences: {
          type: 'float32',
          data: Float32Array.from({ length: norms * groups * 2 }, (_, i) => (i % 2 === 0 ? 0.1 : 1.1)),
          dims: [norms, groups, 2],
        },
      }),
    );
    await outer.release();
    await runtime.close();
  }
  const [cpu, gpu] = results;
  for (const name of ['sample', 'measured']) {
    const expected = cpu?.[name]?.data ?? new Float32Array();
    expect(expected.length, name).toBeGreaterThan(0);
    expect(relativeError(gpu?.[name]?.data ?? new Float32Array(), expected), name).toBeLessThan(1e-4);
  }
});
