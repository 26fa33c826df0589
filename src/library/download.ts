import { createSHA256 } from 'hash-wasm';
import { AppError } from '#protocol/error.ts';
import type { ModelId, PackFile } from '#protocol/model.ts';
import type { ModelFiles } from '#storage/model-files.ts';

/** Bytes kept in memory before a piece is written. */
const PIECE_BYTES = 4 * 1024 * 1024;

interface Download {
  files: ModelFiles;
  model: ModelId;
  file: PackFile;
  url: string;
  signal: AbortSignal;
  /** Called with the bytes of this file that are stored or on their way to be. */
  onProgress: (receivedBytes: number) => void;
  onVerify: () => void;
}

/**
 * Brings one file into storage: what an earlier try left is kept and the rest asked for by `Range`. The file
 * counts only once its SHA-256 is right.
 * @throws AppError `download_failed`, `integrity_failed`, `cancelled`; whatever storage throws
 */
export async function downloadFile({ files, model, file, url, signal, onProgress, onVerify }: Download) {
  let stored = await files.stored(model, file.path);
  if (stored?.verifiedAt != null && stored.sha256 === file.sha256) {
    onProgress(file.sizeBytes);
    return;
  }
  const hash = await createSHA256();
  const earlier = stored?.sha256 === file.sha256 ? await files.received(model, file.path) : undefined;
  if (stored === undefined || earlier === undefined) stored = await files.begin(model, file);
  else for await (const chunk of earlier.stream()) hash.update(chunk);
  let received = earlier?.size ?? 0;
  onProgress(received);

  let pending: Uint8Array<ArrayBuffer>[] = [];
  let pendingBytes = 0;
  let record = stored;
  const flush = async () => {
    if (pendingBytes === 0) return;
    record = await files.append(model, file.path, record, new Blob(pending));
    pending = [];
    pendingBytes = 0;
  };

  if (received < file.sizeBytes) {
    try {
      const body = await openBody(url, received, file, signal);
      if (body === 'no-such-range') {
        // The server's file ends before ours does: what is here belongs to another file.
        await files.remove(model, file.path);
        throw new AppError(
          'download_failed',
          `${file.path} has changed on the server. Try again to begin anew.`,
          {
            detail: { file: file.path, status: 416 },
          },
        );
      }
      if (body.from === 0 && received > 0) {
        // The server does not do ranges and sends everything again.
        record = await files.begin(model, file);
        hash.init();
        received = 0;
      }
      for await (const chunk of body.stream) {
        received += chunk.byteLength;
        if (received > file.sizeBytes) break;
        hash.update(chunk);
        pending.push(chunk);
        pendingBytes += chunk.byteLength;
        if (pendingBytes >= PIECE_BYTES) await flush();
        onProgress(received);
      }
    } catch (thrown) {
      await flush();
      if (signal.aborted) throw new AppError('cancelled', 'The download was stopped.', { cause: thrown });
      if (thrown instanceof AppError || (thrown instanceof Error && thrown.name === 'QuotaExceededError'))
        throw thrown;
      throw new AppError('download_failed', `The download of ${file.path} was cut off. Try again to go on.`, {
        detail: { file: file.path, receivedBytes: received },
        cause: thrown,
      });
    }
    await flush();
    if (received < file.sizeBytes) {
      throw new AppError('download_failed', `The download of ${file.path} ended early. Try again to go on.`, {
        detail: { file: file.path, receivedBytes: received },
      });
    }
  }

  onVerify();
  const found = hash.digest('hex');
  if (received !== file.sizeBytes || found !== file.sha256) {
    await files.remove(model, file.path);
    throw new AppError(
      'integrity_failed',
      `${file.path} is not the file it should be (its SHA-256 differs), so it was not kept.`,
      { detail: { file: file.path, expected: file.sha256, found } },
    );
  }
  await files.seal(model, file.path, record);
}

async function openBody(url: string, from: number, file: PackFile, signal: AbortSignal) {
  const headers: HeadersInit = from > 0 ? { Range: `bytes=${String(from)}-` } : {};
  const response = await fetch(url, { headers, signal, cache: 'no-store' });
  if (from > 0 && response.status === 416) return 'no-such-range';
  if (!response.ok || !response.body) {
    throw new AppError(
      'download_failed',
      `The server answered ${String(response.status)} for ${file.path}.`,
      {
        detail: { file: file.path, status: response.status },
      },
    );
  }
  return { stream: response.body, from: response.status === 206 ? from : 0 };
}
