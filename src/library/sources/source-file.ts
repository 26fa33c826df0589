import { isRecord } from '#codecs/json.ts';
import type { ByteSource } from '#weights/safetensors-source.ts';
import type { OpenBytes } from '#library/bring-file.ts';
import { AppError } from '#protocol/error.ts';
import type { Licence } from '#protocol/model.ts';

/** A file on the user's disk or on a server. It can be read before it is imported. */
export interface SourceFile extends ByteSource {
  /** Relative to what was given: a folder, a repository. */
  path: string;
  sha256: string | null;
  /** Its address; null on the disk. */
  url: string | null;
  open: OpenBytes;
}

/** What the user gave, as files. */
export interface Listing {
  from: 'disk' | 'url';
  /** What people would call it: the file's name without its end, or the repository's. */
  title: string;
  /** Where it is from, for the pack's credits; empty for the disk. */
  origin: string;
  files: readonly SourceFile[];
  /** As the repository states it. */
  licence: Licence | null;
}

/** A file's name without folders and without what says what kind of file it is. */
export function stemOf(path: string): string {
  return (path.split('/').pop() ?? path).replace(/\.[a-z]\w*$/i, '');
}

/** Configuration files are a few kilobytes; a larger file is not one. */
const MAX_JSON_BYTES = 8 * 1024 * 1024;

/**
 * A small JSON file as an object.
 * @throws AppError `integrity_failed` for anything else; what reading the file throws
 */
export async function readJsonFile(file: SourceFile): Promise<Readonly<Record<string, unknown>>> {
  if (file.size <= MAX_JSON_BYTES) {
    const text = new TextDecoder().decode(await file.slice(0, file.size).arrayBuffer());
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = null;
    }
    if (isRecord(json)) return json;
  }
  throw new AppError('integrity_failed', `${file.path} is not a JSON object.`, {
    detail: { file: file.path },
  });
}
