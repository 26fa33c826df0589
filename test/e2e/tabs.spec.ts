import { call, expect, openApp, test } from './app.ts';

const REQUEST = { prompt: 'purple octopus', steps: 12, width: 256, height: 256, seed: 11 };

interface Images {
  images: string[];
}

test('a second tab’s fetch is answered by the first one’s engine', async ({ studio }) => {
  const guest = await openApp(await studio.context().newPage(), new URL('.', studio.url()).href);
  await expect(guest.getByText(/another tab/i).first()).toBeVisible();
  const { status, body } = await call<Images>(guest, '/sdapi/v1/txt2img', {
    ...REQUEST,
    prompt: 'a second tab',
    steps: 2,
  });
  expect(status).toBe(200);
  expect(body.images).toHaveLength(1);
  await guest.close();
  await expect(studio.getByRole('button', { name: /view large: a second tab/i }).first()).toBeVisible();
});

test('the hosting tab closed in mid-image: another one draws the same image for the waiting fetch', async ({
  app,
  context,
  server,
  studio,
}) => {
  const undisturbed = await call<Images>(studio, '/sdapi/v1/txt2img', REQUEST);
  const guest = await openApp(await context.newPage(), server.origin);

  const waiting = call<Images>(guest, '/sdapi/v1/txt2img', REQUEST);
  await expect
    .poll(async () => (await call<{ progress: number }>(guest, '/sdapi/v1/progress')).body.progress, {
      timeout: 120_000,
    })
    .toBeGreaterThan(0.1);
  await app.close();

  const { status, body } = await waiting;
  expect(status).toBe(200);
  expect(body.images).toEqual(undisturbed.body.images);
});

test('a job left behind by the last tab is taken up by the next one', async ({ app, context, server }) => {
  const started = await call<{ job_id: string }>(app, '/v1/generation/text-to-image', {
    prompt: 'green frog',
    aspect_ratios_selection: '256*256',
    style_selections: [],
    async_process: true,
    advanced_params: { overwrite_step: 10 },
  });
  await app.close();
  const next = await openApp(await context.newPage(), server.origin);
  await expect
    .poll(
      async () =>
        (await call<{ job_stage: string }>(next, `/v1/generation/query-job?job_id=${started.body.job_id}`))
          .body.job_stage,
      { timeout: 90_000 },
    )
    .toBe('SUCCESS');
});

test('no tab of the app open: 503 in the dialect’s shape, saying what to do', async ({
  app,
  context,
  server,
}) => {
  // A page of the same origin that hosts nothing, controlled by the service worker.
  const bystander = await context.newPage();
  await bystander.goto(`${server.origin}/favicon.svg`);
  await app.close();
  for (const [path, body] of [
    ['/sdapi/v1/txt2img', { prompt: 'x' }],
    ['/txt2img', { prompt: 'x' }],
  ] as const) {
    const answer = await call(bystander, path, body);
    expect(answer.status).toBe(503);
    expect(JSON.stringify(answer.body)).toMatch(/open/i);
  }
});

test('a page that is not ours: the example, alone, hosts the engine by one script', async ({
  page,
  server,
}) => {
  await page.goto(`${server.origin}/examples/fetch.html`);
  await expect(page.getByRole('status')).toHaveText('Ready.');
  await page.getByRole('button', { name: 'Generate' }).click();
  await expect(page.getByRole('img')).toHaveJSProperty('naturalWidth', 256, { timeout: 120_000 });
});
