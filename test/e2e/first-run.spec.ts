import { expect, openApp, setSteps, test } from './app.ts';

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

  await context.setOffline(true);
  const response = await app.reload();
  expect(response?.fromServiceWorker()).toBe(true);
  await expect(app.getByRole('button', { name: /view large: .*red apple/i }).first()).toBeVisible();
  await app.getByLabel('Prompt', { exact: true }).fill('blue whale');
  await setSteps(app, 2);
  await app.getByRole('button', { name: /generate/i }).click();
  await expect(app.getByRole('button', { name: /view large: blue whale/i }).first()).toBeVisible({
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
