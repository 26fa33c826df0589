import { Zip, ZipPassThrough } from 'fflate';

/** A file of an archive. */
export interface ZipEntry {
  name: string;
  blob: Blob;
  modifiedAt: Date;
}

/** Both fields of the format that count this have 32 and 16 bits; what is beyond begins another archive. */
const MOST_BYTES = 4_000_000_000;
const MOST_FILES = 65_000;

/** Bytes of an entry beside its file and twice its name: two headers and a descriptor, rounded up. */
const OVERHEAD = 128;

/**
 * Packs files into ZIP archives (APPNOTE.TXT 6.3), stored as they are: images are compressed already. One file at a time is in
 * memory; what is packed is the browser's to keep. More than four gigabytes or 65,000 files become several archives.
 */
export async function* packZip(files: AsyncIterable<ZipEntry>): AsyncGenerator<Blob> {
  let archive = createArchive();
  for await (const file of files) {
    if (!archive.hasRoomFor(file)) {
      yield archive.finish();
      archive = createArchive();
    }
    await archive.add(file);
  }
  yield archive.finish();
}

function createArchive() {
  const parts: Blob[] = [];
  let [bytes, count] = [0, 0];
  const sizeOf = ({ name, blob }: ZipEntry) =>
    blob.size + OVERHEAD + 2 * new TextEncoder().encode(name).length;
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    // A part for each chunk, so that the bytes can leave our memory.
    parts.push(new Blob([chunk]));
  });
  return {
    hasRoomFor: (file: ZipEntry) => count === 0 || (bytes + sizeOf(file) <= MOST_BYTES && count < MOST_FILES),
    async add(file: ZipEntry): Promise<void> {
      const entry = new ZipPassThrough(file.name);
      entry.mtime = file.modifiedAt;
      zip.add(entry);
      entry.push(new Uint8Array(await file.blob.arrayBuffer()), true);
      bytes += sizeOf(file);
      count += 1;
    },
    finish(): Blob {
      zip.end();
      return new Blob(parts, { type: 'application/zip' });
    },
  };
}
