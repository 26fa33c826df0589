import type { ModelId } from '#protocol/model.ts';
import type { ModelFiles, StoredFile } from '#storage/model-files.ts';

/** Bytes of a piece; also what a closed tab loses at most of what was read. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Bytes that may wait for storage before reading has to wait as well. */
const MAX_WAITING_BYTES = 4 * PIECE_BYTES;

/** Writes a file piece by piece while the next is being gathered. */
export interface PieceWriter {
  /** Takes the next bytes; resolves when more may come. @throws what storage throws, also of earlier pieces */
  add(chunk: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Writes what is gathered and resolves when everything is stored. @throws what storage throws */
  finish(): Promise<StoredFile>;
}

/**
 * Appends to a file in storage. Pieces are written one after another, a few may wait their turn: what the network
 * brought is not lost to a slow disk when the connection breaks.
 */
export function openPieceWriter(
  files: ModelFiles,
  model: ModelId,
  path: string,
  stored: StoredFile,
): PieceWriter {
  let gathered: Uint8Array<ArrayBuffer>[] = [];
  let gatheredBytes = 0;
  let waitingBytes = 0;
  let last: Promise<StoredFile> = Promise.resolve(stored);

  function flush(): void {
    if (gatheredBytes === 0) return;
    const piece = new Blob(gathered);
    gathered = [];
    gatheredBytes = 0;
    waitingBytes += piece.size;
    last = last.then(async (record) => {
      const grown = await files.append(model, path, record, piece);
      waitingBytes -= piece.size;
      return grown;
    });
    // The next call of `add` or `finish` throws the failure.
    last.catch(() => undefined);
  }

  return {
    async add(chunk) {
      gathered.push(chunk);
      gatheredBytes += chunk.byteLength;
      if (gatheredBytes < PIECE_BYTES) return;
      flush();
      if (waitingBytes >= MAX_WAITING_BYTES) await last;
    },
    finish() {
      flush();
      return last;
    },
  };
}
