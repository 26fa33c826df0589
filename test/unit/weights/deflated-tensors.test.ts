import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readFloat32 } from '#weights/casts.ts';
import { DEFLATED } from '#weights/deflated-tensors.ts';
import { dequantiseTensors, quantiseTensors } from '#weights/quantise.ts';
import { openSafetensors, writeSafetensors } from '#weights/safetensors-source.ts';
import { byteLength, type TensorSource } from '#weights/tensor-source.ts';
import { deflatedFile } from '../../support/deflated.ts';
import { tensorsOf } from './tensors.ts';

const open = (bytes: Uint8Array<ArrayBuffer>) => openSafetensors(new Blob([bytes]), 'packed.safetensors');

/** A convolution of few levels, and numbers that no compression makes smaller. */
const convolution = Float32Array.from({ length: 64 * 36 }, (_, i) => Math.round(3 * Math.sin(i * 1.7)));
const weights = {
  'conv.weight': [[64, 4, 3, 3], convolution],
  'conv.bias': [[4], [0.1, -7, 1e-9, 3]],
} as const;

test('a file of deflated tensors is smaller, and reads as the file it was made from', async () => {
  const plain = quantiseTensors(tensorsOf(weights), ({ name }) =>
    name === 'conv.weight' ? 'int8-channels' : 'exact',
  );
  const file = await deflatedFile(plain);
  const source = await open(file);
  expect(file.length).toBeLessThan(convolution.length * 0.7);
  expect([...source.names()]).toEqual([...plain.names()]);
  for (const name of plain.names()) {
    expect(source.info(name)).toEqual(plain.info(name));
    expect(await source.read(name)).toEqual(await plain.read(name));
  }
  // Only what lies in the file as it is can be handed over without being read.
  expect(source.location?.('conv.weight')).toBeUndefined();
  expect(source.location?.('conv.bias')).toMatchObject({ length: 16 });
  // What says how tensors are stored is no longer true of what is read.
  expect(source.metadata).toEqual({});
  expect(await readFloat32(dequantiseTensors(source), 'conv.weight')).toEqual(
    await readFloat32(dequantiseTensors(plain), 'conv.weight'),
  );
});

test.each(['float32', 'float16', 'int64', 'bool'] as const)('%s tensors of any shape', async (type) => {
  for (const shape of [[], [0, 5], [3000], [20, 1, 30]]) {
    const info = { name: 'x', type, shape };
    const bytes = new Uint8Array(byteLength(info)).map((_, i) => i % 2);
    const source = await open(
      await deflatedFile({ names: () => ['x'], info: () => info, read: () => Promise.resolve(bytes) }),
    );
    expect(source.info('x')).toEqual(info);
    expect(await source.read('x')).toEqual(bytes);
  }
});

/** A file with one tensor, whose bytes and note are whatever they are. */
async function fileWith(stored: Uint8Array<ArrayBuffer>, note: string, type: 'uint8' | 'int8' = 'uint8') {
  const source: TensorSource = {
    names: () => ['w'],
    info: () => ({ name: 'w', type, shape: [stored.length] }),
    read: () => Promise.resolve(stored),
  };
  const parts: Uint8Array[] = [];
  for await (const part of writeSafetensors(source, { [DEFLATED]: note })) parts.push(part);
  return Uint8Array.from(Buffer.concat(parts));
}

const noteOf = (shape: readonly unknown[], type = 'int8') => JSON.stringify({ w: { type, shape } });
const stream = (bytes: Uint8Array) => Uint8Array.from(deflateSync(bytes));

describe('files that lie are refused', () => {
  const zeros = stream(new Uint8Array(1000));
  test.each([
    ['a note that is no JSON', '{"w":'],
    ['a note that is no object', '["w"]'],
    ['a tensor that is not there', JSON.stringify({ v: { type: 'int8', shape: [1000] } })],
    ['a name of every object', JSON.stringify({ toString: { type: 'int8', shape: [1000] } })],
    ['a tensor without a shape', JSON.stringify({ w: { type: 'int8' } })],
    ['nothing about the tensor', JSON.stringify({ w: null })],
    ['an unknown type', noteOf([1000], 'int5')],
    ['a type that every object has', noteOf([1000], 'constructor')],
    ['a negative side', noteOf([-1000])],
    ['half a side', noteOf([999.5])],
    ['a side that is a text', noteOf(['1000'])],
    ['more than a stream of this length can hold', noteOf([1032 * zeros.length + 1])],
    ['more than any number', noteOf([2 ** 52, 2 ** 52])],
  ])('when they are opened: %s', async (_, note) => {
    await expect(open(await fileWith(zeros, note))).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  test('when they are opened: a stream that is not of bytes', async () => {
    await expect(open(await fileWith(zeros, noteOf([1000]), 'int8'))).rejects.toMatchObject({
      code: 'integrity_failed',
    });
  });

  test.each([
    ['no stream', new Uint8Array(40).fill(7)],
    ['an empty one', new Uint8Array(1)],
    ['a stream that ends early', zeros.subarray(0, zeros.length - 6)],
    ['a stream whose checksum is wrong', zeros.with(zeros.length - 1, 99)],
    ['too few bytes', stream(new Uint8Array(999))],
    ['too many bytes', stream(new Uint8Array(1001))],
    ['far too many bytes', stream(new Uint8Array(5e6))],
  ])('when they are read: %s', async (_, stored) => {
    const source = await open(await fileWith(Uint8Array.from(stored), noteOf([1000])));
    await expect(source.read('w')).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  test('whatever the stream, it gives all its bytes or an error', () =>
    fc.assert(
      fc.asyncProperty(fc.nat(zeros.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = zeros.with(at, (zeros[at] ?? 0) ^ change);
        const source = await open(await fileWith(damaged, noteOf([1000])));
        const read = await source.read('w').catch((error: unknown) => error);
        if (read instanceof Uint8Array) expect(read).toEqual(new Uint8Array(1000));
        else expect(read).toMatchObject({ code: 'integrity_failed' });
      }),
      { seed: 5, numRuns: 60 },
    ));
});
