const ISOLATION: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/**
 * The response with the headers of cross-origin isolation, which give the wasm provider its threads. Static
 * hosts that cannot set headers are isolated by the service worker alone. One that has them already is handed on
 * untouched: browsers keep compiled code beside a response of their caches, and find it again only for that very one.
 */
export function isolate(response: Response): Response {
  // An opaque or redirected response cannot be rebuilt, and a header on it would mean nothing.
  if (response.type === 'opaque' || response.type === 'opaqueredirect' || response.status === 0)
    return response;
  const wanted = Object.entries(ISOLATION);
  if (wanted.every(([name, value]) => response.headers.get(name) === value)) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of wanted) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
