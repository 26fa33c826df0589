import { TRACE_PREFIX } from '#protocol/trace.ts';
import { call, expect, openApp, setSteps, test } from './app.ts';

test('a first visit: the prompt is typed while the model arrives, then an image is generated; offline, the app reloads and generates', async ({
  app,
  context,
}) => {
  await app.getByLabel('Prompt', { exact: true }).fill('a red apple, 3d render');
  await setSteps(app, 4);
  await app.getByRole('button', { name: /generate/i }).click();
  await expect(app.getByRole('progressbar').first()).toBeVisible();
  await expect(app.getByRole('button', { name: /view large: .*red apple/i }).first()).toBeVisible({
    timeout: 120_000,
  });

  const request = { prompt: 'blue whale', steps: 2, seed: 7, width: 256, height: 256 };
  const generate = () => call<{ images: string[] }>(app, '/sdapi/v1/txt2img', request);
  const before = await generate();

  await context.setOffline(true);
  const response = await app.reload();
  expect(response?.fromServiceWorker()).toBe(true);
  await expect(app.getByRole('button', { name: /view large: .*red apple/i }).first()).toBeVisible();
  expect((await generate()).body.images).toEqual(before.body.images);
  // Where a model is stored, the engine does not wait for the list of models.
  const begun = await app.evaluate(
    (prefix) =>
      Object.fromEntries(
        performance
          .getEntriesByType('measure')
          .map(({ name, startTime }) => [name.slice(prefix.length), startTime]),
      ),
    TRACE_PREFIX,
  );
  expect(begun['start the engine']).toBeLessThanOrEqual(begun['list the packs'] ?? -1);

  await app.getByLabel('Prompt', { exact: true }).fill('green frog');
  await setSteps(app, 1);
  await app.getByRole('button', { name: /generate/i }).click();
  await expect(app.getByRole('button', { name: /view large: green frog/i }).first()).toBeVisible({
    timeout: 120_000,
  });
});

test('everything comes from our own origin and the policy is never broken', async ({ page, server }) => {
  const foreign: string[] = [];
  const violations: string[] = [];
  page.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(server.origin))
      foreign.push(request.url());
  });
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) violations.push(message.text());
  });
  await openApp(page, server.origin);
  for (const panel of ['models', 'api', 'settings', 'create']) {
    await page.goto(`${server.origin}/#/${panel}`);
    await expect(page.locator('main')).toBeVisible();
  }
  expect(foreign).toEqual([]);
  expect(violations).toEqual([]);
});
