import { afterEach, describe, expect, test } from 'vitest';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d } from '#engine/graph/layers.ts';
import { chooseBackend, chooseBuild } from '#engine/runtime/device.ts';
import type { Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { openBrowserRuntime, openGraph } from '../../support/browser-engine.ts';
import { pseudoRandom, tensorsOf } from '../../support/random-weights.ts';

const SIDE = 8;

/** A graph that multiplies an image by a number kept in external data. */
function multiplication(factor: number) {
  const weights = tensorsOf({ 'conv.weight': { shape: [1, 1, 1, 1], data: Float32Array.of(factor) } });
  const graph = new Graph({ name: `times_${factor}`, weights });
  const input = graph.input('x', 'float32', [1, 1, SIDE, SIDE]);
  graph.output('y', conv2d(graph, input, 'conv', { out: 1, kernel: 1, bias: false }));
  return { graph: graph.build(), network: { config: {}, weights, files: new Map() } };
}

function image(seed: number): { type: 'float32'; data: Float32Array; dims: number[] } {
  return { type: 'float32', data: pseudoRandom(SIDE * SIDE, seed), dims: [1, 1, SIDE, SIDE] };
}

const times = (value: { data: Float32Array }, factor: number) => [
  ...value.data.map((number) => number * factor),
];

const opened: Runtime[] = [];

async function open(choice: BackendChoice): Promise<Runtime> {
  const runtime = await openBrowserRuntime(choice);
  opened.push(runtime);
  return runtime;
}

async function openMultiplication(runtime: Runtime, factor: number) {
  const { graph, network } = multiplication(factor);
  return openGraph(runtime, graph, network);
}

async function multiply(runtime: Runtime, factor: number, value: TensorValue): Promise<number[]> {
  const session = await openMultiplication(runtime, factor);
  const { y } = await session.run({ x: value });
  return [...(y?.data ?? [])];
}

afterEach(async () => {
  for (const runtime of opened.splice(0)) await runtime.close();
});

describe('choosing a backend', () => {
  test('auto leaves a software adapter for the wasm provider', async () => {
    const { device, description } = await chooseBackend('auto');
    expect(device).toBeNull();
    expect(description).toMatch(/software.*swiftshader/i);
    expect(chooseBuild(device)).toBe('wasm');
  });

  test('webgpu takes any adapter there is', async () => {
    const { device, description } = await chooseBackend('webgpu');
    expect(device).toBeInstanceOf(GPUDevice);
    expect(description).toMatch(/swiftshader/i);
    expect(chooseBuild(device)).toBe('Suspending' in WebAssembly ? 'jspi' : 'webgpu');
    // Subgroups of four are too small for ONNX Runtime's attention.
    expect(device?.features.has('subgroups')).toBe(false);
    device?.destroy();
  });

  test('wasm asks for no adapter', async () => {
    expect((await chooseBackend('wasm')).device).toBeNull();
  });
});

describe.each(['wasm', 'webgpu'] as const)('on %s', (choice) => {
  test('calls that overlap are queued, whatever they are and whichever session they are for', async () => {
    const runtime = await open(choice);
    const other = await open('wasm');
    const factors = [2, 3, 4];
    const sessions = await Promise.all(factors.map((factor) => openMultiplication(runtime, factor)));
    const value = image(1);
    const results = await Promise.all([
      ...sessions.map((session) => session.run({ x: value }).then(({ y }) => [...(y?.data ?? [])])),
      multiply(runtime, 5, value),
      multiply(other, 6, value),
      ...sessions.map((session) => session.run({ x: value }).then(({ y }) => [...(y?.data ?? [])])),
      ...sessions.map((session) => session.release()),
    ]);
    expect(results).toEqual([
      ...[2, 3, 4, 5, 6, 2, 3, 4].map((factor) => times(value, factor)),
      undefined,
      undefined,
      undefined,
    ]);
    expect(runtime.runMilliseconds).toBeGreaterThan(0);
  });

  test('a call that fails does not hold up the next', async () => {
    const runtime = await open(choice);
    const session = await openMultiplication(runtime, 2);
    const [failed, next] = await Promise.allSettled([
      session.run({ x: { ...image(2), dims: [1, 1, SIDE * SIDE, 1] } }),
      session.run({ x: image(2) }),
    ]);
    expect(failed).toMatchObject({ status: 'rejected', reason: { name: 'AppError' } });
    expect(next.status === 'fulfilled' && [...(next.value['y']?.data ?? [])]).toEqual(times(image(2), 2));
  });

  test('weights that are not given are an error that names their file', async () => {
    const runtime = await open(choice);
    await expect(runtime.createSession(multiplication(2).graph.model)).rejects.toMatchObject({
      name: 'AppError',
      message: expect.stringContaining('times_2.weights') as string,
    });
  });
});

test('a lost device is told, and a new runtime works', async () => {
  const runtime = await open('webgpu');
  const session = await openMultiplication(runtime, 2);
  const { y } = await session.run({ x: image(3) });
  expect([...(y?.data ?? [])]).toEqual(times(image(3), 2));
  runtime.device?.destroy();
  await runtime.device?.lost;
  await expect(session.run({ x: image(3) })).rejects.toMatchObject({
    name: 'AppError',
    code: 'device_lost',
  });
  expect(await multiply(await open('webgpu'), 3, image(4))).toEqual(times(image(4), 3));
});
