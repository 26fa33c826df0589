import { stringifyJson } from '#codecs/json.ts';

/** A JSON response. Its Content-Length is set. */
export function jsonResponse(
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return bytesResponse(new TextEncoder().encode(stringifyJson(body)), 'application/json', status, headers);
}

/** A response of bytes or of a Blob, which goes to the client without passing through our memory. */
export function bytesResponse(
  body: Uint8Array<ArrayBuffer> | Blob,
  type: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const size = body instanceof Blob ? body.size : body.length;
  return new Response(body, {
    status,
    headers: { ...headers, 'Content-Type': type, 'Content-Length': String(size) },
  });
}
