import { AppError } from '#protocol/error.ts';
import type { ImportSource } from '#protocol/import.ts';
import { stemOf, type Listing, type SourceFile } from './source-file.ts';

/** What systems and programs leave in folders. */
const HIDDEN = /(?:^|\/)(?:\.|__MACOSX\/)/;

function openFile(path: string, file: File): SourceFile {
  return {
    path,
    size: file.size,
    sha256: null,
    url: null,
    slice: (start, end) => file.slice(start, end),
    open: (from) => Promise.resolve({ stream: file.slice(from).stream(), from }),
  };
}

/**
 * Files from the user's disk as a listing; a folder that holds all of them gives the title and is left out of paths.
 * @throws AppError `invalid_request` where there is no file
 */
export function listDisk({ files }: Extract<ImportSource, { from: 'files' }>): Listing {
  const seen = files
    .map(({ path, file }) => ({ path: path.replace(/^\/+/, ''), file }))
    .filter(({ path }) => !HIDDEN.test(path));
  const [first] = seen;
  if (!first)
    throw new AppError('invalid_request', 'Nothing that was dropped is a file. Drop files or a folder.');
  const folder = /^[^/]+\//.exec(first.path)?.[0] ?? '';
  const isShared = folder !== '' && seen.every(({ path }) => path.startsWith(folder));
  const strip = isShared ? folder.length : 0;
  return {
    from: 'disk',
    title: seen.length > 1 && isShared ? folder.slice(0, -1) : stemOf(first.path),
    origin: '',
    files: seen.map(({ path, file }) => openFile(path.slice(strip), file)),
    licence: null,
  };
}
