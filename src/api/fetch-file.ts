import { AppError } from '#protocol/error.ts';

/** Bytes of a file that a request may name. */
export const MOST_BYTES = 64 * 2 ** 20;

/** Without a limit, a server that does not answer would block its request for ever. */
const TIMEOUT_MS = 30_000;

const FAILED = 'Unable to fetch image from provided URL';

/** The failure to get an image by its address, in ModelsLab's words. @param reason a sentence */
export function fetchFailure(reason: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `${FAILED}. ${reason}`, { cause });
}

/**
 * The file at an address of any server.
 * @throws AppError `invalid_request` that says why it failed: the server's status, a timeout, CORS, the file's size;
 *   `cancelled` when the client has gone
 */
export async function fetchFile(address: string, signal: AbortSignal): Promise<Blob> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const either = AbortSignal.any([signal, timeout]);
  try {
    const response = await request(address, either);
    if (!response.ok) throw fetchFailure(`The server answered ${response.status}.`);
    return new Blob(await readLimited(response));
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    if (timeout.aborted)
      throw fetchFailure(`The server did not answer within ${TIMEOUT_MS / 1000} s.`, thrown);
    if (signal.aborted) throw new AppError('cancelled', 'The request was cancelled.', { cause: thrown });
    throw fetchFailure('The connection was lost.', thrown);
  }
}

async function request(address: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, { signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    // A server that answers without allowing other sites does answer a `no-cors` request, whose body cannot be read.
    const answers = await fetch(address, { signal, mode: 'no-cors' }).then(
      () => true,
      () => false,
    );
    throw fetchFailure(
      answers
        ? 'The server does not let other sites read it (CORS). Send the image as base64.'
        : 'The server cannot be reached.',
      thrown,
    );
  }
}

async function readLimited({ body }: Response): Promise<Uint8Array<ArrayBuffer>[]> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  if (!body) return parts;
  for (const reader = body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return parts;
    length += value.length;
    if (length > MOST_BYTES) {
      await reader.cancel();
      throw fetchFailure(`The file is larger than ${MOST_BYTES / 2 ** 20} MB.`);
    }
    parts.push(value);
  }
}
