import type { ZipEntry } from '#codecs/zip.ts';
import type { StoredImage } from '#protocol/job.ts';
import { fileNameOf } from '#ui/panels/create/stage/captions.ts';

/** The name of an archive of today. @param part 1 for the first */
export function nameOfArchive(part: number): string {
  const day = new Date().toISOString().slice(0, 10);
  return part === 1 ? `vitrine-${day}.zip` : `vitrine-${day}-${part}.zip`;
}

/** @returns what makes an entry of each image; the same name again gets a number */
export function createEntries(): (image: StoredImage) => ZipEntry {
  const uses = new Map<string, number>();
  return (image) => {
    const name = fileNameOf(image);
    const count = (uses.get(name) ?? 0) + 1;
    uses.set(name, count);
    return {
      name: count === 1 ? name : name.replace(/(\.\w+)$/, ` (${count})$1`),
      blob: image.blob,
      modifiedAt: new Date(image.createdAt),
    };
  };
}
