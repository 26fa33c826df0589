/**
 * The response with the headers of cross-origin isolation, which give the wasm provider its threads. Static
 * hosts that cannot set headers are isolated by the service worker alone.
 */
export function isolate(response: Response): Response {
  // An opaque or redirected response cannot be rebuilt, and a header on it would mean nothing.
  if (response.type === 'opaque' || response.type === 'opaqueredirect' || response.status === 0)
    return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
