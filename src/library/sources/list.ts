import { AppError } from '#protocol/error.ts';
import type { ImportSource } from '#protocol/import.ts';
import { decodePathPart, publicAddress } from './addresses.ts';
import { listDisk } from './disk.ts';
import { measureRemote, remoteFile } from './http.ts';
import { listHub, parseHubAddress } from './hub.ts';
import { stemOf, type Listing } from './source-file.ts';

/**
 * What the user gave, as files.
 * @param hub the Hugging Face hub's origin
 * @throws AppError `invalid_request` for an address that cannot be one of a model, `download_failed`
 */
export async function listSource(source: ImportSource, hub: string): Promise<Listing> {
  if (source.from === 'files') return listDisk(source);
  const url = toAddress(source.url);
  const address = parseHubAddress(url, hub);
  if (address) return listHub(address, hub);
  if (url.origin === hub) {
    throw new AppError(
      'invalid_request',
      `${publicAddress(url.href)} is not the address of a model, its folder or its file.`,
    );
  }
  const asked = decodePathPart(url.pathname.split('/').pop() ?? '') || url.host;
  const { name, size } = await measureRemote(url.href, asked);
  const path = name || asked;
  return {
    from: 'url',
    title: stemOf(path),
    origin: publicAddress(url.href),
    files: [remoteFile({ path, size, sha256: null, url: url.href })],
    licence: null,
  };
}

/** @throws AppError `invalid_request` */
function toAddress(text: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  const isLocal = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1';
  // Pages served by https may only read https, or their own machine.
  if (!url || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal))) {
    throw new AppError('invalid_request', `“${publicAddress(text)}” is not an https address.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new AppError(
      'invalid_request',
      `Browsers do not fetch addresses with a user name or a password in them. Download ${publicAddress(text)} in a browser where you are logged in, and drop it here.`,
    );
  }
  return url;
}
