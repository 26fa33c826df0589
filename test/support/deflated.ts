import { constants, deflateSync } from 'node:zlib';
import { DEFLATED } from '#weights/deflated-tensors.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';

/** What a tensor's entry in the list of the deflated costs, about. */
const ENTRY_BYTES = 64;

/**
 * The shorter of two zlib streams. Numbers of weights do not repeat, only their distribution saves bits: that one has Huffman
 * codes alone. A row of equal scales consists of nothing but matches.
 */
function deflate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const level = { level: 9, memLevel: 9 };
  const codes = deflateSync(bytes, { ...level, strategy: constants.Z_HUFFMAN_ONLY });
  const matches = deflateSync(bytes, level);
  return Uint8Array.from(codes.length <= matches.length ? codes : matches);
}

/** A safetensors file of a source's tensors, deflated where that makes it smaller (src/weights/deflated-tensors.ts). */
export async function deflatedFile(source: TensorSource): Promise<Uint8Array<ArrayBuffer>> {
  const stored = new Map<string, { info: TensorInfo; bytes: Uint8Array<ArrayBuffer> }>();
  const note: Record<string, Pick<TensorInfo, 'type' | 'shape'>> = {};
  for (const name of source.names()) {
    const info = source.info(name);
    if (!info) throw new Error(`There is no tensor ${name}.`);
    const plain = await source.read(name);
    const bytes = deflate(plain);
    if (bytes.length + ENTRY_BYTES >= plain.length) stored.set(name, { info, bytes: plain });
    else {
      stored.set(name, { info: { name, type: 'uint8', shape: [bytes.length] }, bytes });
      note[name] = { type: info.type, shape: info.shape };
    }
  }
  const parts: Uint8Array[] = [];
  const file = writeSafetensors(
    {
      names: () => stored.keys(),
      info: (name) => stored.get(name)?.info,
      read: (name) => Promise.resolve(stored.get(name)?.bytes ?? new Uint8Array()),
    },
    { [DEFLATED]: JSON.stringify(note) },
  );
  for await (const part of file) parts.push(part);
  return Uint8Array.from(Buffer.concat(parts));
}
