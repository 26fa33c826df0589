import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';

/** How long a server may take to show that it is there. */
const PROBE_MS = 8000;

/** What a request that must not be read tells: the server answers, there is none, or the browser does not say. */
type Presence = 'there' | 'not there' | 'unknown';

/** The address of what was blocked. Chromium has it in the report's JSON alone. */
function blockedUrl(report: Report): unknown {
  const { body }: { body?: unknown } = JSON.parse(JSON.stringify(report)) as object;
  return isRecord(body) ? body['blockedURL'] : undefined;
}

/**
 * Whether anything answers at an address, by a request whose answer is not read (`no-cors`). Where the page is isolated
 * (`Cross-Origin-Embedder-Policy: require-corp`) even such an answer is blocked; that it was blocked is reported to
 * `ReportingObserver` (Reporting API; HTML, "queue a cross-origin embedder policy CORP violation report"), and only an
 * answer can be blocked.
 */
async function findPresence(url: string): Promise<Presence> {
  // Workers of Firefox and Safari have none, though the DOM's types say so.
  const Observer = 'ReportingObserver' in globalThis ? ReportingObserver : null;
  const blocked = Promise.withResolvers<'there'>();
  const watch = (reports: readonly Report[]) => {
    if (reports.some((report) => blockedUrl(report) === url)) blocked.resolve('there');
  };
  const observer = Observer && new Observer(watch, { types: ['coep'] });
  observer?.observe();
  try {
    const signal = AbortSignal.timeout(PROBE_MS);
    const answered = fetch(url, { mode: 'no-cors', cache: 'no-store', signal }).then(async ({ body }) => {
      await body?.cancel();
      return 'there' as const;
    });
    return await Promise.race([answered, blocked.promise]);
  } catch {
    if (!observer) return globalThis.crossOriginIsolated ? 'unknown' : 'not there';
    // The report comes a moment after the failure.
    const waited = new Promise<Presence>((resolve) => setTimeout(resolve, 500, 'not there'));
    return await Promise.race([blocked.promise, waited]);
  } finally {
    observer?.disconnect();
  }
}

/** Whether the browser is certain; Node, where the tests are, does not say. */
function isOffline(): boolean {
  const { onLine }: Partial<Navigator> = 'navigator' in globalThis ? navigator : {};
  return onLine === false;
}

/** Whether a host is this very machine, which is reached without a network. */
function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
}

/**
 * Why a request got no answer that may be read, and what to do: `download_failed`. Browsers do not tell scripts, so it is
 * found out: whether there is a network, and whether the server answers at all.
 * @param what names the thing in messages
 */
export async function unreachable(url: string, what: string, cause: unknown): Promise<AppError> {
  const { host, hostname, origin } = new URL(url);
  const failed = (message: string) =>
    new AppError('download_failed', message, { detail: { file: what }, cause });
  if (!isLocal(hostname) && isOffline()) {
    return failed(
      `This device is offline, so ${what} cannot be fetched from ${host}. Connect to the internet and try again; what has arrived is kept.`,
    );
  }
  switch (await findPresence(`${origin}/`)) {
    case 'there':
      return failed(
        `${host} is there, but does not let other sites read ${what} (CORS). Download it in a browser and drop it here.`,
      );
    case 'not there':
      return failed(
        isLocal(hostname)
          ? `Nothing answers at ${host}. Start the server and try again.`
          : `Nothing answers at ${host}: the name may be misspelled, the server may be down, or something between blocks it. Check the address and the connection, and try again.`,
      );
    case 'unknown':
      return failed(
        `${host} cannot be reached, or does not let other sites read ${what} (CORS). Check the address and the connection, or download it in a browser and drop it here.`,
      );
  }
}
