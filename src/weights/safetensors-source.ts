import {
  encodeSafetensorsHeader,
  measureSafetensorsHeader,
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX_BYTES,
  type SafetensorsDtype,
  type SafetensorsProblem,
} from '#codecs/safetensors.ts';
import { AppError } from '#protocol/error.ts';
import { DEFLATED, inflateTensors } from './deflated-tensors.ts';
import type { TensorSource, TensorType } from './tensor-source.ts';

const TYPES: Readonly<Record<SafetensorsDtype, TensorType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8_e4m3',
  F8_E5M2: 'float8_e5m2',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U64: 'uint64',
  U32: 'uint32',
  U16: 'uint16',
  U8: 'uint8',
  BOOL: 'bool',
};

const DTYPES = new Map<TensorType, SafetensorsDtype>();
for (const dtype of Object.keys(TYPES) as SafetensorsDtype[]) DTYPES.set(TYPES[dtype], dtype);

/** Bytes that can be read in parts: a Blob, or a file on a server that supports ranges. */
export interface ByteSource {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** The tensors of a `.safetensors` file. */
export interface SafetensorsFile extends TensorSource {
  /** What the writer noted in the header, without what the tensors have been read by. */
  metadata: Readonly<Record<string, string>>;
  /** Size of the file. */
  sizeBytes: number;
}

/**
 * Opens a safetensors file by reading its header only. A tensor's bytes are read on demand, and
 * `location` says where they are, so that ONNX Runtime can take them without this program touching them. Compressed tensors
 * (deflated-tensors.ts) appear decompressed and have no location.
 *
 * @param name What `location` calls the file, and what errors call it.
 * @throws AppError `unsupported_feature` for other formats (pickles, GGUF), `integrity_failed` for a damaged file
 */
export async function openSafetensors(file: ByteSource, name: string): Promise<SafetensorsFile> {
  const measured = measureSafetensorsHeader(
    await readBytes(file, 0, SAFETENSORS_PREFIX_BYTES + 1),
    file.size,
  );
  if (!measured.ok) throw refusal(name, measured);
  const parsed = parseSafetensorsHeader(await readBytes(file, 0, measured.headerBytes), file.size);
  if (!parsed.ok) throw refusal(name, parsed);
  const { entries, metadata } = parsed.header;
  const { [DEFLATED]: deflated, ...ownMetadata } = metadata;

  const stored: TensorSource = {
    names: () => entries.keys(),
    info(tensor) {
      const entry = entries.get(tensor);
      return entry && { name: tensor, type: TYPES[entry.dtype], shape: entry.shape };
    },
    async read(tensor) {
      const entry = entries.get(tensor);
      if (!entry) throw new AppError('not_found', `${name} has no tensor "${tensor}".`);
      const bytes = await readBytes(file, entry.offset, entry.length);
      if (bytes.length !== entry.length) {
        throw new AppError('integrity_failed', `${name} ends within tensor "${tensor}".`);
      }
      return bytes;
    },
    location(tensor) {
      const entry = entries.get(tensor);
      return entry && { file: name, offset: entry.offset, length: entry.length };
    },
  };
  return { ...inflateTensors(stored, deflated, name), metadata: ownMetadata, sizeBytes: file.size };
}

/**
 * The bytes of a safetensors file with all tensors of a source, tensor by tensor, so that a file of gigabytes can be
 * written while only one tensor is in memory.
 */
export async function* writeSafetensors(
  source: TensorSource,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const names = [...source.names()];
  const entries = names.map((name) => {
    const info = source.info(name);
    const dtype = info && DTYPES.get(info.type);
    if (!info || !dtype) throw new AppError('not_found', `There is no tensor "${name}" to write.`);
    return { name, dtype, shape: info.shape };
  });
  yield encodeSafetensorsHeader(entries, metadata);
  for (const name of names) yield source.read(name);
}

function refusal(name: string, { problem, reason }: SafetensorsProblem): AppError {
  return problem === 'foreign'
    ? new AppError('unsupported_feature', `${name} cannot be used: ${reason}`, { detail: { file: name } })
    : new AppError('integrity_failed', `${name} is not a usable safetensors file: ${reason}`, {
        detail: { file: name },
      });
}

async function readBytes(file: ByteSource, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
}
