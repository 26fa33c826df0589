import { afterEach, beforeEach, expect, test } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { imageIdOf } from '#protocol/job.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, openDemoHost } from '../../support/demo-host.ts';
import { pngOf } from '../../support/images.ts';
import { textToImage } from '../../support/jobs.ts';

const PATIENCE = { timeout: 60_000 };
const IMAGES = 2000;
/** Milliseconds of the longest task that scrolling may take. */
const LONGEST_TASK = 200;

const images = page.getByRole('button', { name: /^View large: .*, seed/ });

/** Databases with finished jobs of one image each. @returns their name */
async function storeImages(count: number): Promise<string> {
  const database = `gallery-${Date.now()}`;
  const [jobs, stored] = [openJobs(`${database}-jobs`), openImages(`${database}-images`)];
  const files = Array.from({ length: 16 }, (_, hue) => pngOf(64, 64, (x) => [hue * 16, x * 4, 128]));
  const now = Date.now();
  for (let first = 0; first < count; first += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - first) }, async (_, offset) => {
        const index = first + offset;
        const id = `job-${index}`;
        const [createdAt, seed] = [now - index * 1000, BigInt(index)];
        const size = { width: 64, height: 64 };
        const infotext = `image ${index}\nSeed: ${seed}`;
        await stored.put({
          ...{ id: imageIdOf(id, 0), jobId: id, index: 0, client: 'app', createdAt, ...size, infotext },
          blob: files[index % files.length] ?? new Blob(),
          seed: seed.toString(),
          prompt: `image ${index}`,
        });
        const image = { index: 0, ...size, seed, subseed: 0n, prompt: [], negativePrompt: [], infotext };
        await jobs.put({
          ...{ id, origin: { client: 'app', requestKey: null }, stage: 'done', attempts: 1 },
          ...{
            queuedAt: createdAt,
            startedAt: createdAt,
            finishedAt: createdAt,
            progress: null,
            error: null,
          },
          job: textToImage({ prompt: `image ${index}`, seeds: [seed], ...size }),
          result: { artifacts: [{ kind: 'image', image }], interrupted: false, seconds: 1, notes: [] },
        });
      }),
    );
  }
  return database;
}

/** Collects the lengths of long tasks, in milliseconds. */
function watchLongTasks() {
  const tasks: number[] = [];
  const collect = (entries: PerformanceEntryList) => tasks.push(...entries.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => collect(list.getEntries()));
  observer.observe({ entryTypes: ['longtask'] });
  return {
    longest: () => {
      collect(observer.takeRecords());
      return Math.round(Math.max(0, ...tasks));
    },
    stop: () => observer.disconnect(),
  };
}

/** How many times slower than asked for timers fire at most within a second: 1 on an idle machine. */
async function measureBusyness(): Promise<number> {
  const [interval, rounds] = [20, 50];
  let slowest = interval;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, interval));
    slowest = Math.max(slowest, performance.now() - start);
  }
  return slowest / interval;
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test(`a gallery of ${IMAGES} images opens with its newest and scrolls to its oldest`, async () => {
  const database = await storeImages(IMAGES);
  const busyness = await measureBusyness();
  const tasks = watchLongTasks();
  const status = new AppStatus();
  status.host = connectDemoHost(await openDemoHost({ database }));
  await render(App, { status });
  await expect.element(images.first()).toHaveAccessibleName('View large: image 0, seed 0');
  await expect.element(page.getByRole('heading', { name: `Gallery ${IMAGES}` })).toBeVisible();
  expect(document.querySelectorAll('main ul img').length).toBeLessThan(IMAGES / 10);
  const opening = tasks.longest();

  const shown = () => document.querySelectorAll('main ul button').length;
  await expect
    .poll(
      async () => {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((resolve) => requestAnimationFrame(resolve));
        return shown();
      },
      { ...PATIENCE, interval: 20 },
    )
    .toBe(IMAGES);
  const [last] = images.elements().slice(-1);
  expect(last?.getAttribute('aria-label')).toBe(`View large: image ${IMAGES - 1}, seed ${IMAGES - 1}`);
  await expect.poll(() => last?.querySelector('img')?.naturalWidth, PATIENCE).toBe(64);
  // What is far from the window takes no memory.
  await expect
    .poll(() => document.querySelectorAll('main ul img[src]').length, PATIENCE)
    .toBeLessThan(IMAGES / 10);

  const longest = tasks.longest();
  tasks.stop();
  console.log(
    `Longest task: ${opening} ms to open, ${longest} ms in all; timers were up to ${busyness.toFixed(1)} times late.`,
  );
  if (busyness > 2)
    console.warn('The machine is too busy for the length of tasks to mean anything: not held.');
  else expect(longest).toBeLessThan(LONGEST_TASK);
});

test('the viewer turns past the images that have been read', async () => {
  const database = await storeImages(130);
  const status = new AppStatus();
  status.host = connectDemoHost(await openDemoHost({ database }));
  await render(App, { status });
  await images.nth(59).click();
  const dialog = page.getByRole('dialog');
  await expect.element(dialog.getByText('60 of 130')).toBeVisible();
  await dialog.getByRole('button', { name: 'Next image' }).click();
  await expect.element(dialog).toHaveAccessibleName('Image: image 60');
  await expect.element(dialog.getByText('61 of 130')).toBeVisible();
});
