import { expect, test } from 'vitest';
import { castTensors, readFloat32 } from '#weights/casts.ts';
import type { TensorSource, TensorType } from '#weights/tensor-source.ts';
import { headerOf, tensorsOf, valuesOf } from './tensors.ts';

/** One tensor of any type. */
function tensorOf(type: TensorType, values: ArrayBufferView<ArrayBuffer>, count: number): TensorSource {
  return {
    ...headerOf([{ name: 'w', type, shape: [count] }]),
    read: () => Promise.resolve(new Uint8Array(values.buffer.slice(0))),
  };
}

test.each([
  ['float16', Uint16Array.of(0x3c00, 0xc000, 0x3800), [1, -2, 0.5]],
  ['bfloat16', Uint16Array.of(0x3f80, 0xc000, 0x3f00), [1, -2, 0.5]],
  ['float8_e4m3', Uint8Array.of(0x38, 0xc0, 0x30), [1, -2, 0.5]],
  ['float8_e5m2', Uint8Array.of(0x3c, 0xc0, 0x38), [1, -2, 0.5]],
  ['float64', Float64Array.of(1, -2, 0.5), [1, -2, 0.5]],
] as const)('%s becomes float32 and float16', async (type, stored, values) => {
  const source = tensorOf(type, stored, values.length);
  const wide = castTensors(source, 'float32');
  expect(wide.info('w')).toEqual({ name: 'w', type: 'float32', shape: [3] });
  expect([...(await valuesOf(wide, 'w'))]).toEqual(values);
  const narrow = castTensors(source, 'float16');
  expect([...new Uint16Array((await narrow.read('w')).buffer)]).toEqual([0x3c00, 0xc000, 0x3800]);
});

test('a tensor that has the type already keeps its place in the file, one that is cast has none', () => {
  const file = headerOf([
    { name: 'conv.weight', type: 'float16', shape: [4] },
    { name: 'norm.weight', type: 'float16', shape: [4] },
    { name: 'position_ids', type: 'int64', shape: [77] },
  ]);
  const cast = castTensors(file, ({ name }) => (name.includes('norm') ? 'float32' : 'float16'));
  expect(cast.location?.('conv.weight')).toEqual(file.location?.('conv.weight'));
  expect(cast.location?.('norm.weight')).toBeUndefined();
  expect(cast.info('norm.weight')?.type).toBe('float32');
  expect(cast.info('position_ids')?.type).toBe('int64');
});

test('integers are not taken for weights', async () => {
  await expect(readFloat32(tensorOf('int64', BigInt64Array.of(1n), 1), 'w')).rejects.toMatchObject({
    code: 'unsupported_feature',
  });
  await expect(readFloat32(tensorsOf({}), 'w')).rejects.toMatchObject({ code: 'not_found' });
});
