import { describe, expect, test } from 'vitest';
import { deferGeneratedFile, readGeneratedFile, WeightBinder } from '#engine/graph/weight-binder.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { joinSources, tensorsOf } from '../../../support/random-weights.ts';

const computed = tensorsOf({
  merged: { shape: [3], data: Float32Array.of(1, 2, 3) },
  second: { shape: [2, 1, 1], data: Float32Array.of(4, 5) },
});

/** A tensor that lies in a user's file. */
const stored: TensorSource = {
  names: () => ['stored'],
  info: (name) => (name === 'stored' ? { name, type: 'float16', shape: [8, 4, 1, 1] } : undefined),
  read: () => Promise.reject(new Error('Nobody reads a tensor that ONNX Runtime reads itself.')),
  location: () => ({ file: 'model.safetensors', offset: 5_000_000_000, length: 64 }),
};

describe('WeightBinder', () => {
  test('leaves tensors in the file they are in', () => {
    const binder = new WeightBinder(joinSources(stored, computed), 'unet.weights');
    expect(binder.take('stored', [8, 4]).location).toEqual({
      file: 'model.safetensors',
      offset: 5e9,
      length: 64,
    });
    expect(binder.generated).toBeUndefined();
  });

  test('lays computed tensors out in a file of their own', async () => {
    const binder = new WeightBinder(joinSources(stored, computed), 'unet.weights');
    expect(binder.take('merged', [3]).location).toEqual({ file: 'unet.weights', offset: 0, length: 12 });
    expect(binder.take('second', [2]).location).toEqual({ file: 'unet.weights', offset: 64, length: 8 });
    const { generated } = binder;
    if (!generated) throw new Error('no file');
    const parts: BlobPart[] = [];
    for await (const part of readGeneratedFile(generated, computed)) parts.push(part);
    const bytes = await new Blob(parts).arrayBuffer();
    expect(bytes.byteLength).toBe(generated.sizeBytes);
    expect([...new Float32Array(bytes, 0, 3), ...new Float32Array(bytes, 64, 2)]).toEqual([1, 2, 3, 4, 5]);
  });

  test('makes what is derived of a weight when it is asked for', async () => {
    const binder = new WeightBinder(computed, 'unet.weights');
    binder.take('merged', [3]);
    const { info, location } = binder.derive('second', [2], {
      suffix: 'doubled',
      shape: ([length = 0]) => [2, length],
      make(weight, numbers) {
        numbers.set([...weight, ...weight]);
      },
    });
    expect(info).toEqual({ name: 'second.doubled', type: 'float32', shape: [2, 2] });
    expect(location).toEqual({ file: 'unet.weights', offset: 64, length: 16 });
    expect(binder.left).toEqual([]);
    const { generated } = binder;
    if (!generated) throw new Error('no file');
    const file = await deferGeneratedFile(generated, computed);
    expect(file.sizeBytes).toBe(80);
    const numbersAt = (start: number) => [...new Float32Array(file.read(start, file.sizeBytes).buffer)];
    expect([0, 64].map(numbersAt)).toEqual([
      [1, 2, 3],
      [4, 5, 4, 5],
    ]);
    // Derived tensors share their memory: only the last one read is there.
    expect(file.read(64, 80).buffer).toBe(file.read(64, 80).buffer);
    expect(() => file.read(12, 24)).toThrow('No tensor of unet.weights begins at 12.');
  });

  test('counts what was taken and what is left', () => {
    const binder = new WeightBinder(joinSources(stored, computed), 'unet.weights');
    binder.take('merged', [3]);
    expect(binder.taken.map(({ name }) => name)).toEqual(['merged']);
    expect(binder.left).toEqual(['stored', 'second']);
    expect(() => binder.take('merged', [3])).toThrow('used twice');
  });

  test('names the tensor that is missing or does not fit', () => {
    const binder = new WeightBinder(computed, 'unet.weights');
    expect(() => binder.take('conv_in.weight', [1])).toThrow(
      expect.objectContaining({ code: 'not_found', message: 'The weights have no tensor "conv_in.weight".' }),
    );
    expect(() => binder.take('merged', [4])).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        message: 'The tensor "merged" is [3], but the configuration needs [4].',
      }),
    );
  });
});
