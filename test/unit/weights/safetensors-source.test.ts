import { expect, test } from 'vitest';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { fileOf, tensorsOf } from './tensors.ts';

test('a source is written, opened and read again', async () => {
  const source = tensorsOf({
    'conv.weight': [
      [2, 1, 1, 1],
      [0.5, -2],
    ],
    'conv.bias': [[2], [1, 3]],
  });
  const file = await openSafetensors(await fileOf(source, { format: 'pt' }), 'tiny.safetensors');

  expect(file.metadata).toEqual({ format: 'pt' });
  expect([...file.names()]).toEqual(['conv.weight', 'conv.bias']);
  expect(file.info('conv.weight')).toEqual({ name: 'conv.weight', type: 'float32', shape: [2, 1, 1, 1] });
  expect(new Float32Array((await file.read('conv.bias')).buffer)).toEqual(Float32Array.of(1, 3));
});

test('a location leads to the very bytes of the tensor', async () => {
  const blob = await fileOf(tensorsOf({ a: [[3], [1, 2, 3]], b: [[1], [7]] }));
  const file = await openSafetensors(blob, 'model.safetensors');
  const place = file.location?.('b');
  if (!place) throw new Error('no location');
  expect(place.file).toBe('model.safetensors');
  expect(new Uint8Array(await blob.slice(place.offset, place.offset + place.length).arrayBuffer())).toEqual(
    await file.read('b'),
  );
});

test('errors name the file, the reason and the way out', async () => {
  const pickle = new Blob([Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0)]);
  await expect(openSafetensors(pickle, 'v1-5.ckpt')).rejects.toMatchObject({
    code: 'unsupported_feature',
    message: expect.stringMatching(/^v1-5.ckpt cannot be used: .*pickle.*Convert it/) as string,
  });

  const whole = await fileOf(tensorsOf({ a: [[3], [1, 2, 3]] }));
  await expect(openSafetensors(whole.slice(0, whole.size - 1), 'half.safetensors')).rejects.toMatchObject({
    code: 'integrity_failed',
    message: expect.stringContaining('the download is incomplete') as string,
  });

  const file = await openSafetensors(whole, 'whole.safetensors');
  await expect(file.read('b')).rejects.toMatchObject({ code: 'not_found' });
});
