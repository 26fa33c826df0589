import type { CDPSession, Page } from '@playwright/test';
import { call, expect, openApp, test } from './app.ts';

/** Stops every service worker of the browser, as the browser itself may at any time. */
async function stopServiceWorkers(page: Page): Promise<void> {
  const session: CDPSession = await page.context().newCDPSession(page);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
  await session.detach();
}

const REQUEST = { prompt: 'purple octopus', steps: 20, width: 256, height: 256 };

test('killed between requests: the next one is answered', async ({ studio: app }) => {
  await call(app, '/sdapi/v1/txt2img', { ...REQUEST, steps: 1 });
  await stopServiceWorkers(app);
  expect((await call(app, '/sdapi/v1/samplers')).status).toBe(200);
});

test('killed during a request: asked again, it is answered with the image that was drawn once', async ({
  studio: app,
}) => {
  const send = () =>
    call<{ images: string[] }>(app, '/sdapi/v1/txt2img', { ...REQUEST, prompt: 'silver octopus' });
  // Before its answer has begun, the browser itself asks again. Afterwards the client's fetch fails.
  const waiting = send().catch(() => null);
  await expect
    .poll(async () => (await call<{ progress: number }>(app, '/sdapi/v1/progress')).body.progress, {
      timeout: 60_000,
    })
    .toBeGreaterThan(0.1);
  await stopServiceWorkers(app);
  const { status, body } = (await waiting) ?? (await send());
  expect(status).toBe(200);
  expect(body.images).toHaveLength(1);
  await expect(app.getByRole('button', { name: /view large: silver octopus, seed/i })).toHaveCount(1);
});

test('killed while it answers asynchronous requests: each has one job', async ({ app }) => {
  const ids = new Set<string>();
  const delays = [5, 15, 30, 60, 120];
  for (const delay of delays) {
    const waiting = call<{ job_id: string }>(app, '/v1/generation/text-to-image', {
      prompt: `an octopus after ${delay} ms`,
      aspect_ratios_selection: '256*256',
      style_selections: [],
      advanced_params: { overwrite_step: 1 },
      async_process: true,
    });
    await app.waitForTimeout(delay);
    await stopServiceWorkers(app);
    ids.add((await waiting).body.job_id);
  }
  expect(ids.size).toBe(delays.length);
  const { body } = await call<{ running_size: number; finished_size: number }>(
    app,
    '/v1/generation/job-queue',
  );
  expect(body.running_size + body.finished_size).toBe(delays.length);
});

test('interrupt ends an image before its next step and frees the queue', async ({ studio: app }) => {
  const STEPS = 150;
  const step = async () =>
    (await call<{ state: { sampling_step: number } }>(app, '/sdapi/v1/progress?skip_current_image=true')).body
      .state.sampling_step;
  const slow = call<{ images: string[] }>(app, '/sdapi/v1/txt2img', { ...REQUEST, steps: STEPS });
  await expect.poll(step, { timeout: 60_000 }).toBeGreaterThan(1);
  const [from, since] = [await step(), Date.now()];
  await expect.poll(step, { timeout: 60_000 }).toBeGreaterThan(from + 3);
  const msPerStep = (Date.now() - since) / 4;

  const interrupted = Date.now();
  await call(app, '/sdapi/v1/interrupt', {});
  const { status, body } = await slow;
  expect(status).toBe(200);
  // A1111 answers with the unfinished image. The rest of the run would have taken far longer.
  expect(body.images).toHaveLength(1);
  expect((Date.now() - interrupted) / msPerStep).toBeLessThan(STEPS / 3);

  const next = await call<{ images: string[] }>(app, '/sdapi/v1/txt2img', { ...REQUEST, steps: 1 });
  expect(next.body.images).toHaveLength(1);
});

/** One slow request of each dialect. */
const SLOW = {
  '/sdapi/v1/txt2img': { ...REQUEST, steps: 150 },
  '/v1/generation/text-to-image': {
    prompt: REQUEST.prompt,
    aspect_ratios_selection: '256*256',
    style_selections: [],
    advanced_params: { overwrite_step: 150 },
  },
  '/api/v1/enterprise/text2img': {
    key: 'any',
    model_id: 'emoji-mini',
    prompt: REQUEST.prompt,
    width: 256,
    height: 256,
    samples: 4,
    num_inference_steps: '41',
  },
  '/sdapi/txt2img': {
    model_id: 'emoji-mini',
    prompt: REQUEST.prompt,
    // The service takes few steps; the windows of a panorama make each a long one.
    width: 1024,
    height: 256,
    panorama: 'yes',
    num_inference_steps: 25,
    scheduler: 'DDIMScheduler',
  },
  '/txt2img': { ...REQUEST, steps: 150 },
};

for (const [path, body] of Object.entries(SLOW)) {
  test(`a fetch of ${path} that is aborted ends its job`, async ({ studio: app }) => {
    const progress = async () =>
      (
        await call<{ progress: number; state: { sampling_step: number } }>(
          app,
          '/sdapi/v1/progress?skip_current_image=true',
        )
      ).body;
    await app.evaluate(
      ([address, sent]) => {
        const leaving = new AbortController();
        Object.assign(globalThis, { leave: () => leaving.abort() });
        fetch(address, { method: 'POST', body: sent, signal: leaving.signal })
          .then((response) => response.text())
          .catch(() => undefined);
      },
      [path, JSON.stringify(body)] as const,
    );
    await expect
      .poll(async () => (await progress()).state.sampling_step, { timeout: 60_000 })
      .toBeGreaterThan(1);
    const since = Date.now();
    const from = (await progress()).progress;
    await expect
      .poll(async () => (await progress()).progress, { timeout: 60_000 })
      .toBeGreaterThan(from + 0.03);
    const msOfWhole = (Date.now() - since) / ((await progress()).progress - from);

    const left = Date.now();
    await app.evaluate(() => (globalThis as unknown as { leave: () => void }).leave());
    await expect.poll(async () => (await progress()).progress, { timeout: 60_000, intervals: [50] }).toBe(0);
    // To its end it would have run for most of the whole time.
    expect((Date.now() - left) / msOfWhole).toBeLessThan(0.5);
  });
}

test('a reload past the service worker gets its controller back', async ({ app }) => {
  const session = await app.context().newCDPSession(app);
  // What Shift+reload does.
  await session.send('Page.reload', { ignoreCache: true });
  await app.waitForLoadState('load');
  await app.waitForFunction(() => navigator.serviceWorker.controller !== null);
  expect((await call(app, '/sdapi/v1/samplers')).status).toBe(200);
});

test('a request in the moment of opening waits for the engine', async ({ app }) => {
  const statuses: number[] = [];
  for (let round = 0; round < 3; round++) {
    await app.reload({ waitUntil: 'commit' });
    statuses.push((await call(app, '/sdapi/v1/sd-models')).status);
  }
  expect(statuses).toEqual([200, 200, 200]);
});

/** What V8 did with WebAssembly while something ran, by the names of its trace events. */
async function traceWasm(page: Page, run: () => Promise<unknown>): Promise<ReadonlySet<string>> {
  const session = await page.context().newCDPSession(page);
  const names = new Set<string>();
  session.on('Tracing.dataCollected', ({ value }) => {
    for (const { name } of value as { name: string }[]) if (name.startsWith('wasm.')) names.add(name);
  });
  await session.send('Tracing.start', {
    traceConfig: {
      includedCategories: ['v8.wasm', 'disabled-by-default-v8.wasm.detailed'],
      excludedCategories: ['*'],
    },
    transferMode: 'ReportEvents',
  });
  await run();
  const complete = new Promise<void>((resolve) => session.once('Tracing.tracingComplete', () => resolve()));
  await session.send('Tracing.end');
  await complete;
  await session.detach();
  return names;
}

test('later starts fetch the runtime from the cache, with its compiled code', async ({ studio: app }) => {
  const start = async () => {
    await app.reload();
    await call(app, '/sdapi/v1/txt2img', { ...REQUEST, steps: 1, width: 64, height: 64 });
  };
  await start();
  const fetched: string[] = [];
  app.context().on('request', (request) => {
    if (request.serviceWorker() && request.url().endsWith('.wasm')) fetched.push(request.url());
  });
  const findsCode = async () => (await traceWasm(app, start)).has('wasm.Deserialize');
  // The browser compiles at leisure, and keeps what it has when it is done with a part: on a busy machine not by the second start.
  let starts = 1;
  while (!(await findsCode())) expect(++starts).toBeLessThan(5);
  expect(fetched).toEqual([]);
});

test('without headers from the host, the service worker isolates the page', async ({ page }) => {
  const { serveFolder } = await import('../support/server.ts');
  const server = await serveFolder('dist', false);
  await openApp(page, server.origin);
  await page.waitForFunction(() => crossOriginIsolated);
  // Stored as they are handed over, so that browsers find the compiled code of scripts again.
  const policies = await page.evaluate(async () => {
    const found: (string | null)[] = [];
    for (const name of await caches.keys()) {
      if (!name.includes('precache')) continue;
      const cache = await caches.open(name);
      for (const key of await cache.keys())
        found.push((await cache.match(key))?.headers.get('Cross-Origin-Embedder-Policy') ?? null);
    }
    return found;
  });
  expect(policies.length).toBeGreaterThan(5);
  expect(policies.every((policy) => policy === 'require-corp')).toBe(true);
  await server.close();
});
