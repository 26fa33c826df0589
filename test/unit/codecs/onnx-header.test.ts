import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { openCheckpoint } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { readOnnxHeader } from '#codecs/onnx-header.ts';
import { expect, it } from 'vitest';
import { exportedOnnx } from '../../support/onnx-file.ts';
import { openModel } from '../../support/onnx-session.ts';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';

const LIMITS = { windowBytes: 64 * 1024, maxReads: 10_000 };

const readHeader = (bytes: Uint8Array, limits = LIMITS) =>
  readOnnxHeader((start, end) => Promise.resolve(bytes.subarray(start, end)), bytes.length, limits);

it('finds inputs, outputs and weights of a graph with its weights inside', async () => {
  const bytes = exportedOnnx(4);
  const found = await readHeader(bytes);
  if (!found.ok) throw new Error(found.reason);
  const { inputs, outputs, numbers, externalFiles, isComplete } = found.header;
  expect(inputs).toEqual([{ name: 'input_ids', type: 'int32', shape: ['batch', 77] }]);
  expect(outputs).toEqual([{ name: 'last_hidden_state', type: 'float32', shape: ['batch', 'tokens', 64] }]);
  expect(Object.fromEntries(numbers)).toEqual({ float32: 100 * 64 + 4, int8: 4 * 64 * 64 });
  expect(externalFiles.size).toBe(0);
  expect(isComplete).toBe(true);
  const session = await openModel(bytes);
  const { last_hidden_state: state } = await session.run({
    input_ids: { data: new Int32Array(2 * 77), shape: [2, 77] },
  });
  await session.release();
  expect(state?.shape).toEqual([2, 77, 64]);
});

it('names the files beside it that hold weights', async () => {
  const blob = await tinyCheckpoint({ vocabulary: 100 });
  const unet = openCheckpoint(await openSafetensors(blob, 'tiny.safetensors')).components.get('unet');
  if (!unet) throw new Error('There is no UNet.');
  const graph = buildUnet2dCondition(inferConfig('unet', unet), { weights: unet });
  const found = await readHeader(graph.model);
  if (!found.ok) throw new Error(found.reason);
  expect([...found.header.externalFiles]).toEqual(['tiny.safetensors']);
  expect(found.header.inputs.map(({ name, type, shape }) => [name, type, shape.at(-1)])).toContainEqual([
    'encoder_hidden_states',
    'float32',
    768,
  ]);
  expect(found.header.numbers.get('float16')).toBeGreaterThan(1e6);
});

it('tells what it knows when the limit of reads comes first', async () => {
  const found = await readHeader(exportedOnnx(200), { windowBytes: 4096, maxReads: 40 });
  expect(found).toMatchObject({ ok: true, header: { isComplete: false } });
});

it.each([
  ['nothing', []],
  ['no graph', [0x08, 0x07]],
  ['a part that is longer than the file', [0x3a, 0xff, 0x7f, 0x0a]],
  ['a number without end', [0x3a, 0x02, 0xff, 0xff]],
  ['an unknown kind of field', [0x0f, 0x00]],
])('refuses %s', async (_, bytes) => {
  expect((await readHeader(Uint8Array.from(bytes))).ok).toBe(false);
});
