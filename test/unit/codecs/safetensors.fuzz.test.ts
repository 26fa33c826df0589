import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  measureSafetensorsHeader,
  parseSafetensorsHeader,
  SAFETENSORS_DTYPE_BYTES,
  type SafetensorsDtype,
} from '#codecs/safetensors.ts';

/*
 * Files somebody made to break the reader. Each starts as a valid one, so that a refusal is the damage's doing.
 */

const RUNS = { seed: 20_26, numRuns: 400 };

type Member = [name: string, json: string];

interface Sketch {
  members: Member[];
  dataBytes: number;
}

/** Names that mean something to JavaScript, to the format or to nobody. */
const name = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'length',
    '0',
    '',
    '\u0000',
    '"',
    '{:,}',
  ),
  fc
    .string({ unit: 'binary', maxLength: 12 })
    .filter((text) => text !== '__metadata__' && text.isWellFormed()),
);

const dtype = fc.constantFrom(...(Object.keys(SAFETENSORS_DTYPE_BYTES) as SafetensorsDtype[]));

/** Zero-size tensors among them. */
const tensor = fc.record({ name, dtype, shape: fc.array(fc.nat(4), { maxLength: 5 }) });

/** A valid file. */
const sketch = fc
  .uniqueArray(tensor, { selector: (one) => one.name, minLength: 2, maxLength: 8 })
  .map((tensors): Sketch => {
    let end = 0;
    const members = tensors.map(({ name: key, dtype: type, shape }): Member => {
      const begin = end;
      end += shape.reduce((product, side) => product * side, SAFETENSORS_DTYPE_BYTES[type]);
      return [key, JSON.stringify({ dtype: type, shape, data_offsets: [begin, end] })];
    });
    return { members, dataBytes: end };
  });

/** Writes the JSON by hand: an object cannot have a name twice. */
function encode(members: readonly Member[], dataBytes: number): Uint8Array {
  const text = members.map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(',');
  const header = new TextEncoder().encode(`{${text}}`);
  const file = new Uint8Array(8 + header.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}

/** Parses, and holds what was accepted to the promise that every tensor lies within the file, once. */
function parse(file: Uint8Array, fileBytes = file.length): string | null {
  const parsed = parseSafetensorsHeader(file, fileBytes);
  if (!parsed.ok) {
    expect(parsed.reason).toMatch(/\.$/);
    return parsed.reason;
  }
  const measured = measureSafetensorsHeader(file, fileBytes);
  let covered = measured.ok ? measured.headerBytes : NaN;
  for (const entry of parsed.header.entries.values()) {
    expect(entry.offset).toBeGreaterThanOrEqual(8);
    expect(entry.offset + entry.length).toBeLessThanOrEqual(fileBytes);
    const elements = entry.shape.reduce((product, side) => product * side, 1);
    expect(entry.length).toBe(elements * SAFETENSORS_DTYPE_BYTES[entry.dtype]);
    covered += entry.length;
  }
  expect(covered).toBe(fileBytes);
  return null;
}

test('valid files are read, whatever the names and empty tensors', () => {
  fc.assert(
    fc.property(sketch, ({ members, dataBytes }) => {
      const file = encode(members, dataBytes);
      expect(parse(file)).toBeNull();
      const parsed = parseSafetensorsHeader(file, file.length);
      expect(parsed.ok && [...parsed.header.entries.keys()].sort()).toEqual(
        members.map(([key]) => key).sort(),
      );
    }),
    RUNS,
  );
});

const DEEP = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;

/** Ways to lie; each makes any valid file invalid. */
const LIES: Readonly<Record<string, (sketch: Sketch) => Uint8Array>> = {
  // Twice with the same bytes is valid, as the last of two counts.
  'a name twice, with other bytes': ({ members, dataBytes }) => {
    const [name] = members[0] ?? [''];
    const added = { dtype: 'U8', shape: [1], data_offsets: [dataBytes + 1, dataBytes + 2] };
    return encode([...members, [name, JSON.stringify(added)]], dataBytes + 2);
  },
  'a shape of one more': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, shape: [...entry.shape.map((side) => side + 1), 3] })),
      dataBytes,
    ),
  'a shape beyond 2^53': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, shape: [2 ** 31, 2 ** 31] })),
      dataBytes,
    ),
  'sides that multiply to infinity': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, shape: Array<number>(16).fill(2 ** 53 - 1) })),
      dataBytes,
    ),
  'more sides than tensors have': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, shape: Array<number>(1000).fill(1) })),
      dataBytes,
    ),
  'negative offsets': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, data_offsets: entry.data_offsets.map((at) => at - 8) })),
      dataBytes,
    ),
  'offsets far beyond the end': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, data_offsets: entry.data_offsets.map((at) => at + 2 ** 52) })),
      dataBytes,
    ),
  'a third offset': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, data_offsets: [...entry.data_offsets, 0] })),
      dataBytes,
    ),
  'a type as an array': ({ members, dataBytes }) =>
    encode(
      change(members, (entry) => ({ ...entry, dtype: ['F32'] })),
      dataBytes,
    ),
  'an entry nested 30,000 deep': ({ members, dataBytes }) => encode([...members, ['deep', DEEP]], dataBytes),
  'a type nested 30,000 deep': ({ members, dataBytes }) =>
    encode([...members, ['deep', `{"dtype":${DEEP}}`]], dataBytes),
  'metadata that is no object': ({ members, dataBytes }) =>
    encode([...members, ['__metadata__', '[1]']], dataBytes),
  'bytes after the last tensor': ({ members, dataBytes }) => encode(members, dataBytes + 1),
  'text that is no UTF-8': ({ members, dataBytes }) => {
    const file = encode([['~~~~', '1'], ...members], dataBytes);
    return file.map((byte) => (byte === 0x7e ? 0xff : byte));
  },
};

interface Entry {
  dtype: SafetensorsDtype;
  shape: number[];
  data_offsets: number[];
}

/** The members with the first one changed. */
function change([first, ...rest]: readonly Member[], how: (entry: Entry) => unknown): Member[] {
  return first ? [[first[0], JSON.stringify(how(JSON.parse(first[1]) as Entry))], ...rest] : [];
}

test.each(Object.entries(LIES))('%s is refused', (_, lie) => {
  fc.assert(
    fc.property(sketch, (valid) => parse(lie(valid)) !== null),
    { ...RUNS, numRuns: 50 },
  );
});

test('a file that ends early is refused, wherever it ends', () => {
  fc.assert(
    fc.property(sketch, fc.nat(), ({ members, dataBytes }, cut) => {
      const file = encode(members, dataBytes);
      return parse(file.slice(0, cut % file.length)) !== null;
    }),
    RUNS,
  );
});

test('any length of the header is answered at once, without memory for it', () => {
  const file = encode([['a', '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}']], 1);
  const honest = new DataView(file.buffer).getBigUint64(0, true);
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).filter((length) => length !== honest),
      fc.maxSafeNat(),
      (length, fileBytes) => {
        const lying = file.slice();
        new DataView(lying.buffer).setBigUint64(0, length, true);
        const measured = measureSafetensorsHeader(lying, fileBytes);
        if (measured.ok) expect(measured.headerBytes).toBeLessThanOrEqual(Math.min(fileBytes, 100_000_008));
        return parse(lying, fileBytes) !== null;
      },
    ),
    RUNS,
  );
});

test('damaged bytes never break the promise', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(sketch, damage, ({ members, dataBytes }, changes) => {
      const file = encode(members, dataBytes);
      // Where there is a header; what the tensors hold is nobody's business here.
      for (const [at, byte] of changes) file[at % (file.length - dataBytes)] = byte;
      parse(file);
    }),
    { ...RUNS, numRuns: 2000 },
  );
});
