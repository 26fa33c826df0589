import type { KeyPlace } from '#protocol/api-event.ts';
import { apiPath } from './examples.ts';

/** A request as code repeats it. */
export interface CodedRequest {
  method: string;
  /** Path and query, below the app's own. */
  target: string;
  /** The Content-Type. */
  type: string | null;
  /** A JSON text; null for no body or another one. */
  body: string | null;
}

/** A longer body is a file beside the command. */
const LONGEST_ARGUMENT = 32_000;

/** The name of that file. */
export const BODY_FILE = 'request.json';

/** Whether {@link curlCode} needs the body as a file. */
export function needsBodyFile({ body }: CodedRequest): boolean {
  return body !== null && body.length > LONGEST_ARGUMENT;
}

/** JavaScript that sends the request to this app. */
export function fetchCodeOf({ method, target, type, body }: CodedRequest): string {
  const options = [
    ...(method === 'GET' ? [] : [`  method: '${method}',`]),
    ...(body === null
      ? []
      : [
          `  headers: { 'Content-Type': '${type ?? 'application/json'}' },`,
          `  body: JSON.stringify(${body.trim().replaceAll('\n', '\n  ')}),`,
        ]),
  ];
  const call = `fetch('${apiPath(target)}'`;
  const request = options.length === 0 ? `${call})` : [`${call}, {`, ...options, '})'].join('\n');
  return `const response = await ${request};\nconsole.log(response.status, await response.json());`;
}

const KEY_OPTIONS: Readonly<Record<KeyPlace, readonly string[]>> = {
  basic: [],
  bearer: [`-H 'Authorization: Bearer YOUR_KEY'`],
  'x-api-key': [`-H 'X-API-Key: YOUR_KEY'`],
  // The body has it.
  body: [],
};

/** A command for a shell that sends the request to the service itself. */
export function curlCode(request: CodedRequest, service: { url: string; keyPlace: KeyPlace }): string {
  const { method, type, body } = request;
  const options = [
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    quote(service.url),
    ...KEY_OPTIONS[service.keyPlace],
    ...(body === null
      ? []
      : [
          `-H ${quote(`Content-Type: ${type ?? 'application/json'}`)}`,
          needsBodyFile(request) ? `--data-binary @${BODY_FILE}` : `--data-raw ${quote(body)}`,
        ]),
  ];
  return `curl ${options.join(' \\\n  ')}`;
}

/** A word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
