import { createSHA256 } from 'hash-wasm';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import type { ModelId, PackFile } from '#protocol/model.ts';
import type { ModelFiles } from '#storage/model-files.ts';
import { openPieceWriter } from './piece-writer.ts';

/**
 * Writes a network to storage as one safetensors file, tensor by tensor. A file that is already partly written is
 * begun again.
 * @param network in the form to store
 * @param onProgress called with the bytes written or on their way to be
 * @returns the SHA-256
 * @throws AppError `cancelled`; what reading the network and what storage throw
 */
export async function writeNetwork(
  files: ModelFiles,
  model: ModelId,
  file: PackFile,
  network: TensorSource,
  signal: AbortSignal,
  onProgress: (doneBytes: number) => void,
): Promise<string> {
  const hash = await createSHA256();
  const writer = openPieceWriter(files, model, file.path, await files.begin(model, file));
  let done = 0;
  for await (const part of writeSafetensors(network)) {
    if (signal.aborted) throw new AppError('cancelled', 'The import was stopped.');
    hash.update(part);
    done += part.length;
    await writer.add(part);
    onProgress(done);
  }
  const sha256 = hash.digest('hex');
  await files.seal(model, file.path, await writer.finish(), sha256);
  return sha256;
}
