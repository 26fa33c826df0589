import { chromium, type Page } from '@playwright/test';
import { LAUNCH_ARGUMENTS, locateChromium } from '../support/chromium.ts';
import type { StaticServer } from '../support/server.ts';
import { serveSecurely } from '../support/tls.ts';
import { startUpstream, type UpstreamServer } from '../support/upstream-server.ts';
import { call, expect, fetchBytes, openApp, test as base } from './app.ts';

interface Fixtures {
  /** A server that stands for a real A1111, and allows all pages. */
  upstream: UpstreamServer;
}

const test = base.extend<Fixtures>({
  upstream: async ({}, use) => {
    const server = await startUpstream({
      answer: ({ path }) =>
        path.includes('samplers') ? [{ name: 'Theirs' }] : { images: ['there'], info: '{}' },
    });
    await use(server);
    await server.close();
  },
});

const TXT2IMG = '/sdapi/v1/txt2img';
const REQUEST = { prompt: 'a fox', steps: 1, width: 64, height: 64 };

const hostOf = ({ origin }: { origin: string }) => new URL(origin).host;

/** Opens the settings of the A1111 API's upstream. */
async function openUpstream(app: Page) {
  await app.getByRole('navigation').getByRole('link', { name: 'Settings' }).click();
  const section = app.getByRole('region', { name: 'Other servers' });
  await section.locator('summary', { hasText: 'A1111' }).click();
  return section.locator('details', { hasText: 'Server address' }).first();
}

/** Enters an upstream in the settings, as a user would. */
async function enterUpstream(app: Page, address: string, rule: string) {
  const row = await openUpstream(app);
  await row.getByLabel('Server address').fill(address);
  await row.getByLabel('Server address').press('Tab');
  await expect(row.locator('summary')).toContainText(new URL(address).host);
  await row.getByLabel('Hand requests over').selectOption(rule);
  await expect(app.getByText('Other servers are on')).toBeVisible();
  return row;
}

test('a request goes to a real server, whose answer comes back as it is', async ({ app, upstream }) => {
  const row = await enterUpstream(app, upstream.origin, 'always');
  await row.getByLabel(/^Key/).fill('user:secret');
  await row.getByLabel(/^Key/).press('Tab');
  await expect(row.getByRole('button', { name: 'Delete key' })).toBeVisible();
  await row.getByRole('button', { name: 'Test connection' }).click();
  await expect(row.getByRole('status')).toHaveText(
    `${hostOf(upstream)} answers, and lets this page read it.`,
  );

  const { status, headers, body } = await call(app, TXT2IMG, REQUEST);
  expect([status, body]).toEqual([200, { images: ['there'], info: '{}' }]);
  expect(headers['x-vitrine-answered-by']).toBe(hostOf(upstream));
  const sent = upstream.requests.at(-1);
  expect(sent).toMatchObject({ method: 'POST', path: TXT2IMG, body: JSON.stringify(REQUEST) });
  expect(sent?.headers['authorization']).toBe(`Basic ${btoa('user:secret')}`);

  // The key has left this page for the server alone.
  expect(await app.content()).not.toContain('user:secret');
  expect(JSON.stringify((await call(app, '/sdapi/v1/options')).body)).not.toContain('secret');

  upstream.behave('busy');
  const busy = await call(app, TXT2IMG, REQUEST);
  expect([busy.status, busy.headers['retry-after']]).toEqual([429, '7']);

  await app.getByRole('navigation').getByRole('link', { name: 'API' }).click();
  await expect(app.getByText(`answered by ${hostOf(upstream)}`).first()).toBeVisible();
});

test('when this tab cannot: the server is asked, and its failure leaves the error of this tab', async ({
  app,
  upstream,
}) => {
  await enterUpstream(app, upstream.origin, 'cannot');
  const missing = '/sdapi/v1/train/embedding';
  expect((await call(app, '/sdapi/v1/samplers')).headers['x-vitrine-answered-by']).toBe('this tab');
  expect((await call(app, missing, {})).headers['x-vitrine-answered-by']).toBe(hostOf(upstream));
  for (const manner of ['broken', 'dropped', 'redirect', 'wrong key'] as const) {
    upstream.behave(manner);
    const failed = await call(app, missing, {});
    expect([manner, failed.status, failed.headers['x-vitrine-answered-by']]).toEqual([
      manner,
      422,
      'this tab',
    ]);
    expect(decodeURIComponent(failed.headers['x-vitrine-notes'] ?? '')).toContain(hostOf(upstream));
  }
});

test('says what a server has to set that does not allow this page', async ({ app, server }) => {
  const closed = await startUpstream({ answer: () => ({}), allowOrigin: null });
  const row = await enterUpstream(app, closed.origin, 'always');
  await row.getByRole('button', { name: 'Test connection' }).click();
  await expect(row.getByRole('status')).toContainText(`--api --cors-allow-origins=${server.origin}`);
  const { status, body } = await call<{ detail: string }>(app, TXT2IMG, REQUEST);
  expect(status).toBe(502);
  expect(body.detail).toContain('(CORS)');
  await closed.close();
});

test('a page served over https does not reach a server without TLS, and says so; one served over http does', async ({
  server,
  upstream,
}) => {
  const secure = await serveSecurely(server.origin);
  // A name of its own: browsers let secure pages reach loopback addresses without TLS.
  const { port } = new URL(upstream.origin);
  const address = `http://gpu.example:${port}`;
  const executablePath = locateChromium();
  const browser = await chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    args: [
      ...LAUNCH_ARGUMENTS,
      '--ignore-certificate-errors',
      '--host-resolver-rules=MAP gpu.example 127.0.0.1',
      // Only this server's place in the local network is pretended: no question of the browser about it.
      '--disable-features=LocalNetworkAccessChecks',
    ],
  });
  const ask = async (origin: string) => {
    const app = await openApp(await (await browser.newContext()).newPage(), origin);
    await enterUpstream(app, address, 'always');
    return call<{ detail?: string }>(app, TXT2IMG, REQUEST);
  };

  const blocked = await ask(secure.origin);
  expect(blocked.status).toBe(502);
  expect(blocked.body.detail).toMatch(/gpu\.example.* has no TLS.*Give it a certificate/);
  expect(upstream.requests).toEqual([]);

  expect((await ask(server.origin)).body).toEqual({ images: ['there'], info: '{}' });
  await browser.close();
  await secure.close();
});

test('refuses addresses in place', async ({ app, server }) => {
  const row = await openUpstream(app);
  for (const [address, said] of [
    [server.origin, /address of Vitrine itself/],
    ['ftp://example.com', /Enter an address such as/],
    ['http://user:pass@example.com', /enter them as the key/],
  ] as const) {
    await row.getByLabel('Server address').fill(address);
    await row.getByLabel('Server address').press('Tab');
    await expect(row.getByRole('status')).toHaveText(said);
  }
});

/** A page of this origin that has its service's host built in. */
async function openClient(app: Page, server: StaticServer): Promise<Page> {
  server.addPage('/client.html', '<!doctype html><title>A client</title>');
  return openApp(await app.context().newPage(), `${server.origin}/client.html`);
}

async function setHost(app: Page, host: string, on: boolean): Promise<void> {
  await app.goto(app.url().replace(/(#.*)?$/, '#/settings'));
  const group = app.locator('details', { hasText: 'Answer for hosts' });
  if ((await group.getAttribute('open')) === null) await group.locator('summary').click();
  await group.getByRole('checkbox', { name: host }).setChecked(on);
}

test('a client with a built-in host is answered when that is on', async ({ app, server }) => {
  await setHost(app, 'modelslab.com', true);
  const client = await openClient(app, server);
  const service = 'https://modelslab.com/api/v6/images';
  const body = {
    key: 'k',
    model_id: 'emoji-mini',
    prompt: 'a fox',
    width: 256,
    height: 256,
    num_inference_steps: 21,
  };
  interface Generation {
    status: string;
    id: string;
    output: string[];
  }
  const first = await call<Generation>(client, `${service}/text2img`, body);
  expect(first.status).toBe(200);
  let answer = first.body;
  await expect
    .poll(
      async () => {
        if (answer.status === 'processing')
          answer = {
            ...answer,
            ...(await call<Generation>(client, `${service}/fetch/${first.body.id}`, body)).body,
          };
        return answer.status;
      },
      { timeout: 120_000 },
    )
    .toBe('success');
  const [image = ''] = answer.output;
  expect(new URL(image).origin).toBe(server.origin);
  expect((await fetchBytes(client, image)).length).toBeGreaterThan(1000);
});

test('off, or of no API, a call reaches its host untouched', async ({ app, server, upstream }) => {
  const client = await openClient(app, server);
  const samplers = `${upstream.origin}/sdapi/v1/samplers`;
  expect((await call(client, samplers)).body).toEqual([{ name: 'Theirs' }]);

  await app.goto(`${server.origin}/#/settings`);
  const group = app.locator('details', { hasText: 'Answer for hosts' });
  await group.locator('summary').click();
  await group.getByLabel('Another host').fill(upstream.origin);
  await group.getByRole('button', { name: 'Add' }).click();
  await expect(group.getByRole('checkbox', { name: hostOf(upstream) })).toBeChecked();

  const here = await call<{ name: string }[]>(client, samplers);
  expect(here.body.map(({ name }) => name)).toContain('Euler a');
  expect(here.headers['x-vitrine-answered-by']).toBe('this tab');
  expect(upstream.requests).toHaveLength(1);
  expect((await call(client, `${upstream.origin}/other/path`)).body).toEqual({
    images: ['there'],
    info: '{}',
  });

  // A worker that has just been started knows it at once, too.
  const session = await app.context().newCDPSession(app);
  await session.send('ServiceWorker.enable');
  for (let round = 0; round < 3; round++) {
    await session.send('ServiceWorker.stopAllWorkers');
    const [own, other] = await Promise.all([
      call(client, samplers),
      call(client, `${upstream.origin}/sdapi/other`),
    ]);
    expect(own.headers['x-vitrine-answered-by']).toBe('this tab');
    expect(other.body).toEqual({ images: ['there'], info: '{}' });
  }

  await group.getByRole('checkbox', { name: hostOf(upstream) }).setChecked(false);
  await expect.poll(async () => (await call(client, samplers)).body).toEqual([{ name: 'Theirs' }]);
});

test('a host that is an upstream is not answered here', async ({ app, server, upstream }) => {
  await enterUpstream(app, upstream.origin, 'cannot');
  const group = app.locator('details', { hasText: 'Answer for hosts' });
  await group.locator('summary').click();
  await group.getByLabel('Another host').fill(hostOf(upstream));
  await group.getByRole('button', { name: 'Add' }).click();
  await expect(group.getByText('not answered here while requests are handed over')).toBeVisible();
  const client = await openClient(app, server);
  expect((await call(client, `${upstream.origin}/sdapi/v1/samplers`)).body).toEqual([{ name: 'Theirs' }]);
});
