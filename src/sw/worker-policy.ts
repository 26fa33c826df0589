/** Where the worker of the AI Horde may connect to: the Horde, and the store its images are fetched from. */
const HORDE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self' https://aihorde.net https://*.r2.cloudflarestorage.com",
].join('; ');

/** The script of the worker, as it is built and as the development server calls it. */
const HORDE_SCRIPT = /\/horde\.worker(?:-[\w-]+\.js|\.ts)$/;

/**
 * A worker's script with the policy of that worker, if it has one of its own. A worker does not come under the policy of its page
 * but under that of its own response, so the page itself need not be allowed to reach what only a worker does.
 */
export function restrictWorker(url: URL, response: Response): Response {
  if (!HORDE_SCRIPT.test(url.pathname)) return response;
  // The headers of a response from a cache or the network cannot be changed.
  const { body, status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.set('Content-Security-Policy', HORDE_POLICY);
  return new Response(body, { status, statusText, headers });
}
