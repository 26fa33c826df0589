import { createSHA256 } from 'hash-wasm';
import { AppError } from '#protocol/error.ts';
import type { ModelId, PackFile } from '#protocol/model.ts';
import { isPartOf, type ModelFiles } from '#storage/model-files.ts';
import { openPieceWriter } from './piece-writer.ts';

/** The bytes of a file from somewhere in it to its end. */
export interface OpenedBytes {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Where the stream begins: as requested, or 0 if the server cannot resume. */
  from: number;
}

/** Opens a file's bytes from `from` on; `no-such-range` where it ends before. */
export type OpenBytes = (from: number, signal: AbortSignal) => Promise<OpenedBytes | 'no-such-range'>;

/** What bringing one file here takes. */
export interface FileTransfer {
  files: ModelFiles;
  model: ModelId;
  file: PackFile;
  open: OpenBytes;
  signal: AbortSignal;
  /** Called with the bytes of this file that are stored or on their way to be. */
  onProgress: (receivedBytes: number) => void;
  onVerify: () => void;
}

/**
 * Stores one file: what an earlier try left is kept and the rest is requested. The file counts only once
 * its SHA-256 is right; if none was stated, it is the one computed.
 * @returns the SHA-256
 * @throws AppError `download_failed`, `integrity_failed`, `cancelled`; and what storage throws
 */
export async function bringFile(transfer: FileTransfer): Promise<string> {
  const { files, model, file, open, signal, onProgress, onVerify } = transfer;
  const left = await files.stored(model, file.path);
  const part = left && isPartOf(left, file) ? left : undefined;
  if (part?.verifiedAt != null && part.sha256 !== null) {
    onProgress(file.sizeBytes);
    return part.sha256;
  }
  const hash = await createSHA256();
  const earlier = part && (await files.received(model, file.path));
  let stored = part;
  if (stored === undefined || earlier === undefined) stored = await files.begin(model, file);
  else for await (const chunk of earlier.stream()) hash.update(chunk);
  let received = earlier?.size ?? 0;
  onProgress(received);

  let writer = openPieceWriter(files, model, file.path, stored);
  if (received < file.sizeBytes) {
    try {
      const bytes = await open(received, signal);
      if (bytes === 'no-such-range') {
        // The other side's file ends before ours does: what is here belongs to another file.
        await files.remove(model, file.path);
        throw new AppError(
          'download_failed',
          `${file.path} has changed on the server. Try again to start over.`,
          { detail: { file: file.path, status: 416 } },
        );
      }
      if (bytes.from === 0 && received > 0) {
        // The server does not support ranges and sends everything again.
        writer = openPieceWriter(files, model, file.path, await files.begin(model, file));
        hash.init();
        received = 0;
      }
      for await (const chunk of bytes.stream) {
        signal.throwIfAborted();
        received += chunk.byteLength;
        if (received > file.sizeBytes) break;
        hash.update(chunk);
        await writer.add(chunk);
        onProgress(received);
      }
    } catch (thrown) {
      // What storage threw is what went wrong, not what came after it.
      await writer.finish();
      if (signal.aborted) throw new AppError('cancelled', 'The download was stopped.', { cause: thrown });
      if (thrown instanceof AppError || (thrown instanceof Error && thrown.name === 'QuotaExceededError'))
        throw thrown;
      throw new AppError(
        'download_failed',
        `The download of ${file.path} was interrupted. Try again to resume it.`,
        {
          detail: { file: file.path, receivedBytes: received },
          cause: thrown,
        },
      );
    }
    stored = await writer.finish();
    if (received < file.sizeBytes) {
      throw new AppError(
        'download_failed',
        `The download of ${file.path} ended early. Try again to resume it.`,
        {
          detail: { file: file.path, receivedBytes: received },
        },
      );
    }
  }

  if (signal.aborted) throw new AppError('cancelled', 'The download was stopped.');
  onVerify();
  const found = hash.digest('hex');
  if (received !== file.sizeBytes || (file.sha256 !== null && found !== file.sha256)) {
    await files.remove(model, file.path);
    throw new AppError(
      'integrity_failed',
      `${file.path} is not the expected file (its ${received === file.sizeBytes ? 'SHA-256' : 'size'} differs), so it was discarded. Try again, or get the file elsewhere.`,
      { detail: { file: file.path, expected: file.sha256 ?? file.sizeBytes, found } },
    );
  }
  await files.seal(model, file.path, stored, found);
  return found;
}
