import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { giveLoras } from '#engine/models/lora-inputs.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { parseLora } from '#weights/lora.ts';
import { lowRankFactors, type WeightedLora } from '#weights/merge-loras.ts';
import { openBrowserRuntime, openFixture, openGraph } from '../../support/browser-engine.ts';
import { randomLora } from '../../support/loras.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';

let gpu: Runtime;
let wasm: Runtime;

beforeAll(async () => {
  gpu = await openBrowserRuntime('webgpu');
  wasm = await openBrowserRuntime('wasm');
});

afterAll(async () => {
  await gpu.close();
  await wasm.close();
});

const inputs: Record<string, TensorValue> = {
  sample: { type: 'float32', data: pseudoRandom(2 * 4 * 4 * 6), dims: [2, 4, 4, 6] },
  timestep: { type: 'float32', data: Float32Array.of(321), dims: [1] },
  encoder_hidden_states: { type: 'float32', data: pseudoRandom(2 * 7 * 32, 2), dims: [2, 7, 32] },
};

test('LoRAs in buffers of the GPU change one session as they do in arrays', async () => {
  const network = await openFixture('unet-sd1');
  const { config, weights } = network;
  const graph = buildUnet2dCondition(config, {
    weights,
    size: { batch: 2, height: 4, width: 6 },
    loraInputs: true,
  });
  const [one, other] = [1, 2].map((seed) => parseLora(randomLora(graph, seed), `random ${String(seed)}`));
  if (!one || !other) throw new Error('There are no LoRAs.');
  const combinations: WeightedLora[][] = [
    [{ lora: one, strength: 1 }],
    [
      { lora: one, strength: -0.5 },
      { lora: other, strength: 0.5 },
    ],
    [],
    [{ lora: one, strength: 1 }],
  ];

  /** What the network says of the same inputs with each of the combinations. */
  async function runAll(runtime: Runtime): Promise<Float32Array[]> {
    const results: Float32Array[] = [];
    const unet = {
      key: 'unet',
      bytes: 0,
      open: () => openGraph(runtime, graph, network, { requireProvider: runtime === gpu }),
    };
    const adapted = combinations.map((loras) => {
      const read = lowRankFactors(new Map([['unet', weights]]), 'unet', loras);
      if (!read) throw new Error('A LoRA is more than inputs can hold.');
      const key = loras.map(({ lora, strength }) => `${lora.name}*${String(strength)}`).join('|');
      return giveLoras(unet, { key, read }, runtime.device);
    });
    const session = await adapted[0]?.open();
    if (!session) throw new Error('There is no session.');
    for (const network of adapted) {
      const unetWithLoras = await network.adapt?.(session);
      expect(unetWithLoras?.inputNames).toEqual(Object.keys(inputs));
      results.push((await unetWithLoras?.run(inputs))?.['out_sample']?.data ?? new Float32Array());
    }
    await session.release();
    return results;
  }

  const expected = await runAll(wasm);
  const actual = await runAll(gpu);
  const [first, second, none, again] = actual;
  expected.forEach((data, index) =>
    expect(relativeError(actual[index] ?? new Float32Array(), data)).toBeLessThan(1e-4),
  );
  expect(again).toEqual(first);
  if (!second || !none || !first) throw new Error('There are no results.');
  expect(relativeError(first, none)).toBeGreaterThan(1e-2);
  expect(relativeError(second, none)).toBeGreaterThan(1e-2);
});
