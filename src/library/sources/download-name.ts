import { decodePathPart } from './addresses.ts';

/** Parameters of signed addresses by which a store is made to send a `Content-Disposition` (S3 and R2, Azure). */
const DISPOSITION_PARAMETERS = ['response-content-disposition', 'rscd'];

/** Parameters that sites name a file by. */
const NAME_PARAMETER = /^file(?:[_-]?(?:name|path))?$/i;

/** The end of a name that says what kind of file it is. */
const EXTENSION = /\.[a-z]\w{1,11}$/i;

/**
 * What a download is called: as the server says (RFC 6266), else by the address it was redirected to, else by the address
 * that was asked for. A bare number in a path, as on sites that number their files, comes last.
 * @param asked the address that was given
 */
export function downloadName(asked: string, { headers, url }: Pick<Response, 'headers' | 'url'>): string {
  const first = new URL(asked);
  const last = URL.canParse(url) ? new URL(url) : first;
  const stated = [
    headers.get('Content-Disposition'),
    ...DISPOSITION_PARAMETERS.map((name) => last.searchParams.get(name)),
  ].flatMap((disposition) => dispositionName(disposition ?? '') ?? []);
  const parameters = [last, first].flatMap(({ searchParams }) =>
    [...searchParams].filter(([name]) => NAME_PARAMETER.test(name)).map(([, value]) => lastPart(value)),
  );
  const paths = [last, first].map(({ pathname }) => decodePathPart(pathname.split('/').pop() ?? ''));
  return (
    [...stated, ...[...paths, ...parameters].filter((name) => EXTENSION.test(name))].find(
      (name) => name !== '',
    ) ??
    paths.at(-1) ??
    ''
  );
}

/** The file name in a `Content-Disposition`, without folders: `filename*` (RFC 8187) before `filename`. */
export function dispositionName(disposition: string): string | undefined {
  const [, charset = '', encoded] = /;\s*filename\*\s*=\s*([\w-]*)'[^']*'([^;\s]+)/i.exec(disposition) ?? [];
  const extended = encoded === undefined ? undefined : decodeExtended(charset, encoded);
  const [, quoted, bare] = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]+))/i.exec(disposition) ?? [];
  const plain = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare?.trim();
  const name = lastPart(extended ?? decodePathPart(asUtf8(plain ?? '')));
  return name === '' ? undefined : name;
}

function decodeExtended(charset: string, encoded: string): string | undefined {
  const isLatin = /^iso-8859-1$/i.test(charset);
  if (isLatin) {
    return encoded.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  }
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** Headers arrive as Latin-1, but many servers send UTF-8. */
function asUtf8(text: string): string {
  if (!/[\u0080-\u00ff]/.test(text) || /[^\0-\u00ff]/.test(text)) return text;
  try {
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return text;
  }
}

function lastPart(path: string): string {
  return path.split(/[/\\]/).pop()?.trim() ?? '';
}
