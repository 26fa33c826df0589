import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import type { Licence } from '#protocol/model.ts';
import { decodePathPart } from './addresses.ts';
import { get, remoteFile } from './http.ts';
import { stemOf, type Listing } from './source-file.ts';

/** What an address of the Hugging Face hub points at. */
export interface HubAddress {
  /** `owner/name`. */
  repository: string;
  revision: string;
  /** A folder, or with `isFile` a file; empty for the whole repository. */
  path: string;
  isFile: boolean;
}

/** Pages of a listing that are followed; a page has about a thousand files. */
const MAX_PAGES = 10;

/** The hub's short names of licences that models come under. */
const LICENCES: ReadonlyMap<string, string> = new Map([
  ['mit', 'MIT'],
  ['apache-2.0', 'Apache-2.0'],
  ['bsd-3-clause', 'BSD-3-Clause'],
  ['cc-by-4.0', 'CC BY 4.0'],
  ['cc-by-nc-4.0', 'CC BY-NC 4.0'],
  ['cc-by-nc-sa-4.0', 'CC BY-NC-SA 4.0'],
  ['creativeml-openrail-m', 'CreativeML OpenRAIL-M'],
  ['openrail', 'OpenRAIL'],
  ['openrail++', 'CreativeML OpenRAIL++-M'],
]);

const NON_COMMERCIAL = /(?:^|[^a-z])nc(?:[^a-z]|$)|non-?commercial/i;

/**
 * Reads an address of the hub: of a repository, a folder or a file of it. Undefined for what is no model repository.
 * @param hub the hub's origin
 */
export function parseHubAddress(url: URL, hub: string): HubAddress | undefined {
  if (url.origin !== hub) return undefined;
  const [owner, name, view, revision = 'main', ...rest] = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodePathPart);
  if (owner === undefined || name === undefined || ['api', 'datasets', 'spaces', 'docs'].includes(owner))
    return undefined;
  const isFile = view === 'resolve' || view === 'blob';
  if (view !== undefined && view !== 'tree' && !isFile) return undefined;
  if (isFile && rest.length === 0) return undefined;
  return { repository: `${owner}/${name}`, revision, path: rest.join('/'), isFile };
}

/** A licence as a model card states it; null where it states none. */
function readCardLicence(card: unknown, repositoryUrl: string): Licence | null {
  if (!isRecord(card)) return null;
  const stated: unknown = Array.isArray(card['license']) ? card['license'][0] : card['license'];
  const ownName = card['license_name'];
  const short = stated === 'other' && typeof ownName === 'string' ? ownName : stated;
  if (typeof short !== 'string' || short === '' || short === 'unknown') return null;
  const link = card['license_link'];
  return {
    name: LICENCES.get(short) ?? short.slice(0, 100),
    url: typeof link === 'string' && link.startsWith('https://') ? link : repositoryUrl,
    ...(NON_COMMERCIAL.test(short) && { nonCommercial: true }),
  };
}

/**
 * The files at an address of the hub, at the commit it stands for now, so that a download that is resumed next week
 * resumes with the same files.
 * @throws AppError `download_failed`, `invalid_request` for a file that is not there
 */
export async function listHub(address: HubAddress, hub: string): Promise<Listing> {
  const { repository, revision, path, isFile } = address;
  const model = `${hub}/api/models/${repository}`;
  const about = await readJson(`${model}/revision/${encodeURIComponent(revision)}`, repository);
  const commit = isRecord(about) && typeof about['sha'] === 'string' ? about['sha'] : revision;

  const entries: unknown[] = [];
  let next: string | undefined = `${model}/tree/${encodeURIComponent(commit)}?recursive=true`;
  for (let page = 0; next !== undefined && page < MAX_PAGES; page++) {
    const response: Response = await get(next, repository);
    const listed: unknown = await response.json();
    if (Array.isArray(listed)) entries.push(...(listed as unknown[]));
    const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('Link') ?? '')?.[1];
    next = link?.startsWith(`${hub}/`) ? link : undefined;
  }

  const prefix = path === '' || isFile ? '' : `${path}/`;
  const files = entries.flatMap((entry) => {
    if (!isRecord(entry) || entry['type'] !== 'file' || typeof entry['path'] !== 'string') return [];
    const isWanted = isFile ? entry['path'] === path : entry['path'].startsWith(prefix);
    const lfs = isRecord(entry['lfs']) ? entry['lfs'] : {};
    const size = lfs['size'] ?? entry['size'];
    if (!isWanted || typeof size !== 'number') return [];
    const url = `${hub}/${repository}/resolve/${commit}/${entry['path'].split('/').map(encodeURIComponent).join('/')}`;
    const relative = isFile ? (path.split('/').pop() ?? path) : entry['path'].slice(prefix.length);
    const oid = lfs['oid'];
    // Other files have git's own hash, which is not that of their bytes.
    return remoteFile({ path: relative, size, sha256: typeof oid === 'string' ? oid : null, url });
  });
  if (files.length === 0) {
    throw new AppError('invalid_request', `${repository} has nothing at “${path}”.`, {
      detail: { repository },
    });
  }
  return {
    from: 'url',
    title: isFile ? stemOf(path) : (repository.split('/')[1] ?? repository),
    origin: `${hub}/${repository}`,
    files,
    licence: readCardLicence(isRecord(about) ? about['cardData'] : null, `${hub}/${repository}`),
  };
}

async function readJson(url: string, what: string): Promise<unknown> {
  return (await get(url, what)).json();
}
