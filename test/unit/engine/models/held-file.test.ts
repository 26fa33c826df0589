import { expect, it } from 'vitest';
import { HeldFile } from '#engine/models/held-file.ts';

/** A Blob that counts how often it is read, in parts or as a whole. */
class CountedBlob extends Blob {
  reads = 0;

  override slice(start?: number, end?: number): Blob {
    this.reads++;
    return super.slice(start, end);
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    this.reads++;
    return super.arrayBuffer();
  }
}

const partOf = async (file: HeldFile, start: number, end: number) =>
  new TextDecoder().decode(await file.slice(start, end).arrayBuffer());

it('reads a file part by part, and at once while it is held', async () => {
  const blob = new CountedBlob(['the bytes of a file']);
  const file = new HeldFile(blob);
  expect(file.size).toBe(19);
  expect(await partOf(file, 4, 9)).toBe('bytes');
  expect(blob.reads).toBe(1);

  file.hold();
  file.hold();
  expect(blob.reads).toBe(1);
  expect(await Promise.all([partOf(file, 4, 9), partOf(file, 15, 19)])).toEqual(['bytes', 'file']);
  expect(await file.whole()).toEqual(new TextEncoder().encode('the bytes of a file'));
  file.letGo();
  expect(await partOf(file, 0, 3)).toBe('the');
  expect(blob.reads).toBe(2);

  file.letGo();
  expect(await partOf(file, 15, 99)).toBe('file');
  expect(blob.reads).toBe(3);
  expect(await file.whole()).toBe(blob);
});
