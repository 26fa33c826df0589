import { isRecord } from '#codecs/json.ts';
import { isSizes } from '#codecs/safetensors.ts';
import { AppError } from '#protocol/error.ts';
import { BYTES_PER_ELEMENT, byteLength, type TensorInfo, type TensorSource } from './tensor-source.ts';

/**
 * Deflated tensors: a convention of ours for safetensors files that are downloaded often. A tensor of which the metadata
 * key {@link DEFLATED} says `"name": { "type", "shape" }` (JSON, types by the names of {@link TensorInfo}) is a zlib stream
 * (RFC 1950) of the tensor's bytes, and `U8 [bytes of the stream]` to the rest of the format. Coarsely quantised weights
 * take little more than their entropy this way, which no fixed number of bits does; zlib adds a checksum.
 */
export const DEFLATED = 'deflated';

/** No zlib stream yields more: 258 bytes of a match take two bits or more (zlib.net/zlib_tech.html). */
export const MAX_RATIO = 1032;

/**
 * A source whose deflated tensors are as they were before; they are inflated when they are read. Others pass unchanged.
 *
 * @param note content of the metadata key, undefined where a file has none
 * @param file what errors call the file
 * @throws AppError `integrity_failed` for a note that does not fit the tensors; from `read` for a stream that is damaged or
 *   of another length
 */
export function inflateTensors(source: TensorSource, note: string | undefined, file: string): TensorSource {
  if (note === undefined) return source;
  const deflated = readNote(source, note, file);
  return {
    names: () => source.names(),
    info: (name) => deflated.get(name) ?? source.info(name),
    async read(name) {
      const info = deflated.get(name);
      const bytes = await source.read(name);
      if (!info) return bytes;
      const inflated = await inflate(bytes, byteLength(info));
      if (!inflated) {
        throw new AppError(
          'integrity_failed',
          `${file} is damaged: tensor "${name}" cannot be decompressed.`,
          {
            detail: { file, tensor: name },
          },
        );
      }
      return inflated;
    },
    location: (name) => (deflated.has(name) ? undefined : source.location?.(name)),
  };
}

/** What the note says of each deflated tensor. */
function readNote(source: TensorSource, note: string, file: string): Map<string, TensorInfo> {
  const refuse = (reason: string) =>
    new AppError('integrity_failed', `${file} is not a usable safetensors file: ${reason}`, {
      detail: { file },
    });
  let json: unknown;
  try {
    json = JSON.parse(note);
  } catch {
    throw refuse('its list of compressed tensors is not valid JSON.');
  }
  if (!isRecord(json)) throw refuse('its list of compressed tensors is not a JSON object.');
  const found = new Map<string, TensorInfo>();
  for (const [name, value] of Object.entries(json)) {
    const stored = source.info(name);
    if (stored?.type !== 'uint8') throw refuse(`it has no compressed tensor "${name}".`);
    const info = isRecord(value) ? readInfo(name, value) : undefined;
    if (!info) throw refuse(`the type or shape of the compressed tensor "${name}" is invalid.`);
    if (!(byteLength(info) <= byteLength(stored) * MAX_RATIO)) {
      throw refuse(`the compressed tensor "${name}" is too short for [${info.shape.join(', ')}].`);
    }
    found.set(name, info);
  }
  return found;
}

function readInfo(name: string, { type, shape }: Record<string, unknown>): TensorInfo | undefined {
  return isType(type) && isSizes(shape) ? { name, type, shape } : undefined;
}

function isType(type: unknown): type is TensorInfo['type'] {
  return typeof type === 'string' && Object.hasOwn(BYTES_PER_ELEMENT, type);
}

/**
 * The content of a zlib stream, or of a raw one as archives have it; undefined if it is not one, or not of this length. Bytes beyond
 * the length are dropped.
 */
export async function inflate(
  bytes: Uint8Array<ArrayBuffer>,
  length: number,
  format: 'deflate' | 'deflate-raw' = 'deflate',
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { readable, writable } = new DecompressionStream(format);
  // Not through a Blob: each would go to the browser's process and back. What is wrong with the bytes the reader hears.
  const writer = writable.getWriter();
  writer.write(bytes).catch(() => undefined);
  writer.close().catch(() => undefined);
  const content = new Uint8Array(length);
  let position = 0;
  try {
    for (const reader = readable.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (position + value.length > length) {
        await reader.cancel();
        return undefined;
      }
      content.set(value, position);
      position += value.length;
    }
  } catch {
    return undefined;
  }
  return position === length ? content : undefined;
}
