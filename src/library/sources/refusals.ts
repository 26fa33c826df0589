import { AppError } from '#protocol/error.ts';

const LOG_IN = 'download it in a browser where you are logged in, and drop it here.';

type Sentence = (host: string, file: string) => string;

const gated: Sentence = (host, file) =>
  `${host} lets only people who accepted its terms download ${file} (gated). Accept them there, then ${LOG_IN}`;

/** By the `X-Error-Code` of the Hugging Face hub, as huggingface_hub's `hf_raise_for_status` (utils/_http.py) reads it. */
const BY_CODE: Readonly<Record<string, Sentence>> = {
  GatedRepo: gated,
  RepoNotFound: (host, file) =>
    `${host} has no ${file}, or it is private. Check the address. If it is private, ${LOG_IN}`,
  RevisionNotFound: (host, file) =>
    `${host} has ${file}, but not the branch or commit of this address. Check the address.`,
  EntryNotFound: (host, file) => `${host} has no ${file} (404). Check the address.`,
};

const BY_STATUS: Readonly<Record<number, Sentence>> = {
  401: (host, file) =>
    `${host} wants a login for ${file} (401): it is gated, private, or not there. If it is there, ${LOG_IN}`,
  403: (host, file) =>
    `${host} does not give ${file} to this page (403): it may be gated, private, or its link may have expired. Get a new link, or ${LOG_IN}`,
  404: (host, file) => `${host} has no ${file} (404). Check the address.`,
  410: (host, file) => `${host} no longer has ${file} (410). Look for it elsewhere.`,
  429: (host) =>
    `${host} takes no more requests from here for now (429). Wait some minutes and try again; what has arrived is kept.`,
  451: (host, file) => `${host} may not hand out ${file} where you are (451). Look for it elsewhere.`,
};

/** Why a server did not answer a request for a file as expected, and what to do: `download_failed`. */
export function refusal(response: Response, url: string, file: string): AppError {
  const { status, headers } = response;
  const { host } = new URL(url);
  const sentence = BY_CODE[headers.get('X-Error-Code') ?? ''] ?? BY_STATUS[status];
  const other =
    status >= 500
      ? `${host} has a problem of its own (${status}). Try again in some minutes; what has arrived is kept.`
      : `${host} answered ${status} for ${file}. Check the address.`;
  return new AppError('download_failed', sentence?.(host, file) ?? other, { detail: { file, status } });
}
