import type { Page } from '@playwright/test';
import { serveHorde, type HordeServer } from '../support/horde-server.ts';
import { expect, openApp, test } from './app.ts';

const IMAGES = 'https://a223539ccf6caa2d76459c9727d276e6.r2.cloudflarestorage.com';

/** Lets the test's Horde answer for the real one. */
async function routeTo(page: Page, { address }: HordeServer): Promise<void> {
  const here = new URL(address).origin;
  await page
    .context()
    .route(/^https:\/\/(aihorde\.net|[\w.]+\.r2\.cloudflarestorage\.com|example\.com)\//, async (route) => {
      const { pathname, search } = new URL(route.request().url());
      await route.fulfill({ response: await route.fetch({ url: here + pathname + search }) });
    });
}

/** What fetching an address gives there, as a policy lets it. */
const reach = (address: string) =>
  fetch(address).then(
    () => 'reached',
    () => 'blocked',
  );

test('a job goes to the AI Horde from a worker that reaches the Horde alone, once the user has agreed', async ({
  app,
}) => {
  const horde = await serveHorde({ imageOrigin: IMAGES });
  await routeTo(app, horde);
  const runsOn = app.getByRole('combobox', { name: 'Runs on' });
  await runsOn.selectOption('horde');
  expect(horde.calls).toEqual([]);
  await app.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect(app.getByRole('link', { name: 'AI Horde is on' })).toBeVisible();
  await app.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a red apple');
  await app.getByRole('button', { name: 'Generate' }).click();
  await expect(app.getByRole('button', { name: /view large: a red apple, seed/i }).first()).toBeVisible({
    timeout: 60_000,
  });
  expect(horde.requests.map(({ payload, state }) => [payload.prompt, state])).toEqual([
    ['a red apple', 'delivered'],
  ]);

  const worker = app.workers().find((candidate) => candidate.url().includes('horde.worker'));
  expect(await worker?.evaluate(reach, 'https://aihorde.net/api/v2/status/models')).toBe('reached');
  expect(await worker?.evaluate(reach, 'https://example.com/api/v2/status/models')).toBe('blocked');
  expect(await app.evaluate(reach, 'https://aihorde.net/api/v2/status/models')).toBe('blocked');
  await horde.close();
});

test('a tab closed while its job waits at the AI Horde: the next tab fetches the image', async ({
  app,
  server,
}) => {
  let isHeld = true;
  const horde = await serveHorde({ stateOf: () => ({ holds: isHeld }), imageOrigin: IMAGES });
  await routeTo(app, horde);
  await app.getByRole('combobox', { name: 'Runs on' }).selectOption('horde');
  await app.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await app.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a blue whale');
  await app.getByRole('button', { name: 'Generate' }).click();
  await expect.poll(() => horde.requests[0]?.checks ?? 0, { timeout: 60_000 }).toBeGreaterThan(0);
  const next = await app.context().newPage();
  await app.close();
  isHeld = false;
  await openApp(next, server.origin);
  await expect(next.getByRole('button', { name: /view large: a blue whale, seed/i }).first()).toBeVisible({
    timeout: 60_000,
  });
  expect(horde.requests).toHaveLength(1);
  await horde.close();
});

test('a client chooses the AI Horde by a header, and is refused while it is off', async ({ app, server }) => {
  const horde = await serveHorde({ imageOrigin: IMAGES });
  await routeTo(app, horde);
  const ask = () =>
    app.evaluate(async () => {
      const response = await fetch('/sdapi/v1/txt2img', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Vitrine-Backend': 'horde' },
        body: JSON.stringify({
          prompt: 'a red apple',
          width: 64,
          height: 64,
          steps: 4,
          sampler_name: 'Euler a',
        }),
      });
      return { status: response.status, body: await response.text() };
    });
  expect(await ask()).toMatchObject({
    status: 422,
    body: expect.stringContaining('AI Horde is off'),
  });
  expect(horde.calls).toEqual([]);
  await app.goto(`${server.origin}/#/settings`);
  await app.getByRole('checkbox', { name: 'Use the AI Horde' }).click();
  await app.getByRole('button', { name: 'Turn on the AI Horde' }).click();
  await expect(app.getByRole('link', { name: 'AI Horde is on' })).toBeVisible();
  expect((await ask()).status).toBe(200);
  expect(horde.requests).toHaveLength(1);
  await horde.close();
});
