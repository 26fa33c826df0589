import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeSafetensorsHeader,
  measureSafetensorsHeader,
  parseSafetensorsHeader,
  SAFETENSORS_DTYPE_BYTES,
} from '#codecs/safetensors.ts';

/** A file whose header is this JSON, followed by that many bytes of tensors. */
function fileOf(json: unknown, dataBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json));
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

function reasonOf(file: Uint8Array): string {
  const parsed = parseSafetensorsHeader(file, file.length);
  if (parsed.ok) throw new Error('was accepted');
  return parsed.reason;
}

const u8 = (begin: number, end: number) => ({
  dtype: 'U8',
  shape: [end - begin],
  data_offsets: [begin, end],
});

test('a header tells names, types, shapes and places', () => {
  const file = fileOf(
    {
      __metadata__: { ss_network_dim: '4' },
      b: { dtype: 'F16', shape: [2, 3], data_offsets: [4, 16] },
      a: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
    },
    16,
  );
  const parsed = parseSafetensorsHeader(file, file.length);
  if (!parsed.ok) throw new Error(parsed.reason);
  const start = file.length - 16;
  expect(parsed.header.metadata).toEqual({ ss_network_dim: '4' });
  expect([...parsed.header.entries.values()]).toEqual([
    { name: 'a', dtype: 'F32', shape: [], offset: start, length: 4 },
    { name: 'b', dtype: 'F16', shape: [2, 3], offset: start + 4, length: 12 },
  ]);
});

test('what is written is read back, whatever the names', () => {
  const dtypes = Object.keys(SAFETENSORS_DTYPE_BYTES) as (keyof typeof SAFETENSORS_DTYPE_BYTES)[];
  const tensor = fc.record({
    name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__' && name.isWellFormed()),
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat(5), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 }), (tensors) => {
      const header = encodeSafetensorsHeader(tensors, { format: 'pt' });
      expect(header.length % 8).toBe(0);
      const dataBytes = tensors.reduce(
        (sum, { dtype, shape }) => sum + shape.reduce((a, b) => a * b, SAFETENSORS_DTYPE_BYTES[dtype]),
        0,
      );
      const parsed = parseSafetensorsHeader(header, header.length + dataBytes);
      if (!parsed.ok) throw new Error(parsed.reason);
      const { entries, metadata } = parsed.header;
      expect(metadata).toEqual({ format: 'pt' });
      expect([...entries.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
        expect.arrayContaining(tensors),
      );
    }),
  );
});

test.each([
  ['overlap', fileOf({ a: u8(0, 4), b: u8(2, 6) }, 6), 'tensor "b" overlaps the one before it'],
  ['gap', fileOf({ a: u8(0, 4), b: u8(6, 8) }, 8), 'gap before tensor "b"'],
  ['cut off', fileOf({ a: u8(0, 400) }, 100), 'the download is incomplete'],
  ['bytes left over', fileOf({ a: u8(0, 4) }, 9), '5 bytes follow its last tensor'],
  [
    'size and shape differ',
    fileOf({ a: { ...u8(0, 4), shape: [5] } }, 4),
    'claims 4 bytes, but its shape needs 5',
  ],
  ['reversed offsets', fileOf({ a: { dtype: 'U8', shape: [0], data_offsets: [4, 0] } }), 'invalid offsets'],
  ['fractional shape', fileOf({ a: { ...u8(0, 4), shape: [0.5, 8] } }, 4), 'invalid shape'],
  [
    'astronomic shape',
    fileOf({ a: { ...u8(0, 4), shape: [2 ** 40, 2 ** 40] } }, 4),
    'impossibly large shape',
  ],
  ['unknown dtype', fileOf({ a: { ...u8(0, 4), dtype: 'F4' } }, 4), 'unknown type "F4"'],
  ['inherited dtype', fileOf({ a: { ...u8(0, 4), dtype: 'toString' } }, 4), 'unknown type "toString"'],
  [
    'duplicate name of other bytes',
    fileOf(`{"a":${JSON.stringify(u8(0, 4))},"a":${JSON.stringify(u8(4, 8))}}`, 8),
    'names a tensor twice',
  ],
  [
    'duplicate name of fewer bytes',
    fileOf(`{"a":${JSON.stringify(u8(0, 8))},"a":${JSON.stringify(u8(0, 4))}}`, 8),
    'names a tensor twice',
  ],
  ['metadata that are a list', fileOf({ __metadata__: [], a: u8(0, 4) }, 4), 'metadata is not a JSON object'],
  ['broken JSON', fileOf('{"a":'), 'not valid JSON'],
  ['deep JSON', fileOf(`{"a":${'['.repeat(200_000)}`), 'not valid JSON'],
  ['no object', fileOf('[]'), 'does not start with a safetensors header'],
  ['empty', new Uint8Array(), 'too short'],
  ['lying length', Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 0x7b), 'the format allows 100 MB'],
  ['length beyond the end', Uint8Array.of(200, 0, 0, 0, 0, 0, 0, 0, 0x7b), 'ends within its header'],
])('%s is refused with the reason', (_, file, reason) => {
  expect(reasonOf(file)).toContain(reason);
});

test.each([
  ['zip checkpoint', [0x50, 0x4b, 0x03, 0x04, 20, 0, 0, 0, 0, 0], 'PyTorch pickle'],
  ['bare pickle', [0x80, 0x02, 0x7d, 0x71, 0, 0x58, 10, 0, 0, 0], 'PyTorch pickle'],
  ['GGUF', [0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 1, 0], 'GGUF'],
  ['web page', [...new TextEncoder().encode('<!doctype html>')], 'web page'],
])('a %s is named for what it is', (_, bytes, reason) => {
  const measured = measureSafetensorsHeader(Uint8Array.from(bytes), 4_000_000_000);
  expect(measured).toMatchObject({
    ok: false,
    problem: 'foreign',
    reason: expect.stringContaining(reason) as string,
  });
});

test.each([
  ['null for metadata', fileOf({ __metadata__: null, a: u8(0, 4) }, 4), {}],
  [
    'numbers, flags, null and objects in metadata',
    fileOf({ __metadata__: { a: 1.5, b: true, c: null, d: { e: [1] }, f: 'x' }, a: u8(0, 4) }, 4),
    { a: '1.5', b: 'true', c: 'null', d: '{"e":[1]}', f: 'x' },
  ],
  [
    'a tensor listed twice with the same bytes',
    fileOf(`{"a":${JSON.stringify(u8(0, 4))},"a":${JSON.stringify(u8(0, 4))}}`, 4),
    {},
  ],
  [
    'the same note twice, of which the last counts',
    fileOf(`{"__metadata__":{"k":"1","k":"2"},"a":${JSON.stringify(u8(0, 4))}}`, 4),
    { k: '2' },
  ],
  [
    '6 MB of metadata',
    fileOf({ __metadata__: { ss_tag_frequency: 'x'.repeat(6_000_000) }, a: u8(0, 4) }, 4),
    { ss_tag_frequency: 'x'.repeat(6_000_000) },
  ],
  ['an empty tensor that marks something', fileOf({ v_pred: u8(0, 0), a: u8(0, 4) }, 4), {}],
])('%s: read', (_, file, metadata) => {
  const parsed = parseSafetensorsHeader(file, file.length);
  if (!parsed.ok) throw new Error(parsed.reason);
  expect(parsed.header.metadata).toEqual(metadata);
  expect(parsed.header.entries.get('a')?.length).toBe(4);
});

test('any bytes are answered with a header within the file or a reason', () => {
  const valid = fileOf({ a: u8(0, 4), b: u8(4, 10) }, 10);
  const damage = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(damage, fc.nat(valid.length), (changes, length) => {
      const file = valid.slice(0, length);
      for (const [at, byte] of changes) if (at < file.length) file[at] = byte;
      const parsed = parseSafetensorsHeader(file, file.length);
      if (!parsed.ok) return parsed.reason.length > 0;
      return [...parsed.header.entries.values()].every(
        (e) => e.offset >= 8 && e.offset + e.length <= file.length,
      );
    }),
    { numRuns: 3000 },
  );
});

test('any JSON is answered with a header or a reason', () => {
  const entry = fc.record(
    {
      dtype: fc.oneof(fc.constantFrom('F32', 'U8', 'I64'), fc.jsonValue()),
      shape: fc.oneof(fc.array(fc.integer()), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(fc.integer(), fc.integer()), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue())),
      fc.nat(64),
      (json, dataBytes) => {
        const file = fileOf(json, dataBytes);
        const parsed = parseSafetensorsHeader(file, file.length);
        return parsed.ok || parsed.reason.length > 0;
      },
    ),
  );
});
