import { readOnnxHeader, type OnnxHeader } from '#codecs/onnx-header.ts';
import type { SourceFile } from '#library/sources/source-file.ts';
import { AppError } from '#protocol/error.ts';

/** On disk a seek costs nothing; on a server each read is a request. */
const DISK_LIMITS = { windowBytes: 64 * 1024, maxReads: 100_000 };
const SERVER_LIMITS = { windowBytes: 1024 * 1024, maxReads: 16 };

/** The header of an ONNX file. @throws AppError `integrity_failed`; what reading throws */
export async function openOnnx(file: SourceFile): Promise<OnnxHeader> {
  const read = async (start: number, end: number) =>
    new Uint8Array(await file.slice(start, end).arrayBuffer());
  const found = await readOnnxHeader(read, file.size, file.url === null ? DISK_LIMITS : SERVER_LIMITS);
  if (found.ok) return found.header;
  throw new AppError('integrity_failed', `${file.path} is not a usable ONNX file: ${found.reason}`, {
    detail: { file: file.path },
  });
}
