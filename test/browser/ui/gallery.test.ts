import axe from 'axe-core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { unzipSync } from 'fflate';
import { page, userEvent } from 'vitest/browser';
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

/** Colors of the images. */
const HUES = 16;
const PATIENCE = { timeout: 60_000 };
const IMAGES = 2000;
/** Images that are read at once. */
const PAGE = 60;
/** How much longer than with a single page of images the longest task may be: machines differ, the ratio less. */
const LONGEST_TASK_RATIO = 3;
/** Milliseconds from which the browser calls a task long. */
const LONG_TASK = 50;

const images = page.getByRole('button', { name: /^View large: .*, seed/ });
const search = page.getByRole('searchbox', { name: 'Search in prompts' });
const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true });

async function openStored(count: number, hash: string) {
  const database = await storeImages(count);
  const host = await openDemoHost({ database });
  location.hash = hash;
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  return host;
}

/** What a click on a link would have saved, in order. */
function catchDownloads() {
  const files: { name: string; blob: Promise<Blob> }[] = [];
  const spy = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    files.push({ name: this.download, blob: fetch(this.href).then((response) => response.blob()) });
  });
  return { files, stop: () => spy.mockRestore() };
}

/** Databases with finished jobs of one image each. @returns their name */
async function storeImages(count: number): Promise<string> {
  const database = `gallery-${Date.now()}`;
  const [jobs, stored] = [openJobs(`${database}-jobs`), openImages(`${database}-images`)];
  const type = 'image/png';
  const files = Array.from(
    { length: HUES },
    (_, hue) => new Blob([pngOf(64, 64, (x) => [hue * 16, x * 4, 128])], { type }),
  );
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

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

/** What is in the page of a gallery. */
const cells = () => [...document.querySelectorAll('main ul li[aria-posinset]')];

/** Opens a gallery and scrolls to its end. @returns milliseconds of the longest task, and of the longest while it scrolled */
async function scrollThrough(count: number, hash: string): Promise<{ longest: number; scrolling: number }> {
  location.hash = hash;
  const database = await storeImages(count);
  const tasks = watchLongTasks();
  const status = new AppStatus();
  status.host = connectDemoHost(await openDemoHost({ database }));
  const { unmount } = await render(App, { status });
  await expect.element(images.first()).toHaveAccessibleName('View large: image 0, seed 0');
  await expect.element(page.getByRole('heading', { name: `Gallery ${count}` })).toBeVisible();
  const whileScrolling = watchLongTasks();
  let most = 0;
  await expect
    .poll(
      async () => {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((resolve) => requestAnimationFrame(resolve));
        most = Math.max(most, cells().length);
        return cells().at(-1)?.getAttribute('aria-posinset');
      },
      { ...PATIENCE, interval: 20 },
    )
    .toBe(String(count));
  // What is far from the window takes neither memory nor layout.
  expect(most).toBeLessThan(IMAGES / 10);
  const last = cells().at(-1);
  expect(last?.querySelector('button')?.ariaLabel).toBe(`View large: image ${count - 1}, seed ${count - 1}`);
  await expect.poll(() => last && cornerOf(last), PATIENCE).toEqual(cornerOfImage(count - 1));
  const [longest = LONG_TASK, scrolling = LONG_TASK] = [tasks, whileScrolling].map((watched) => {
    const longest = Math.max(LONG_TASK, watched.longest());
    watched.stop();
    return longest;
  });
  await unmount();
  return { longest, scrolling };
}

/** The color in the corner of an image that a cell shows. */
function cornerOf(cell: Element): number[] {
  const canvas = cell.querySelector('canvas');
  return [...(canvas?.getContext('2d')?.getImageData(0, 0, 1, 1).data ?? [])].slice(0, 3);
}

/** The same of an image that {@link storeImages} stores. */
const cornerOfImage = (index: number) => [(index % HUES) * 16, 0, 128];

test.for([
  ['gallery', '#/gallery'],
  ['page that creates', '#/create'],
] as const)(
  `the %s of ${IMAGES} images opens with its newest and scrolls to its oldest`,
  async ([name, hash]) => {
    const ofPage = await scrollThrough(PAGE, hash);
    const ofAll = await scrollThrough(IMAGES, hash);
    console.log(
      `${name}, longest task: ${ofPage.longest} ms with ${PAGE} images, ${ofAll.longest} ms with ${IMAGES}; while scrolling ${ofAll.scrolling} ms.`,
    );
    expect(ofAll.longest / ofPage.longest).toBeLessThan(LONGEST_TASK_RATIO);
  },
);

test('an image that has the focus keeps it far out of sight, and the arrow keys go on from there', async () => {
  await openStored(300, '#/gallery');
  await expect.element(images.first()).toBeVisible();
  await userEvent.keyboard('{Tab}');
  images.first().element().focus();
  await userEvent.keyboard('{ArrowRight}');
  const focused = () => document.activeElement?.ariaLabel;
  expect(focused()).toBe('View large: image 1, seed 1');
  await expect
    .poll(() => {
      scrollTo(0, document.documentElement.scrollHeight);
      return cells().at(-1)?.getAttribute('aria-posinset');
    }, PATIENCE)
    .toBe('300');
  expect(cells().length).toBeLessThan(200);
  expect(focused()).toBe('View large: image 1, seed 1');
  await userEvent.keyboard('{ArrowRight}');
  expect(focused()).toBe('View large: image 2, seed 2');
  expect(document.activeElement?.getBoundingClientRect().top).toBeLessThan(innerHeight);
  await userEvent.keyboard('{End}');
  expect(focused()).toBe('View large: image 299, seed 299');
  await userEvent.keyboard('{Home}');
  expect(focused()).toBe('View large: image 0, seed 0');
  // One stop of the Tab key among all.
  expect(document.querySelectorAll('main ul button[tabindex="0"]').length).toBe(1);
});

test('the viewer turns past the images that have been read', async () => {
  const database = await storeImages(130);
  const status = new AppStatus();
  status.host = connectDemoHost(await openDemoHost({ database }));
  await render(App, { status });
  await images.first().click();
  const dialog = page.getByRole('dialog');
  await expect.element(dialog.getByText('1 of 130')).toBeVisible();
  await userEvent.keyboard(`{ArrowRight>${PAGE - 1}/}`);
  await expect.element(dialog.getByText('60 of 130')).toBeVisible();
  await dialog.getByRole('button', { name: 'Next image' }).click();
  await expect.element(dialog).toHaveAccessibleName('Image: image 60');
  await expect.element(dialog.getByText('61 of 130')).toBeVisible();
});

test('images are selected by clicks, a range and the keyboard, deleted, and restored by Undo', async () => {
  const host = await openStored(6, '#/gallery');
  await images.nth(1).click({ modifiers: ['Control'] });
  const all = page.getByRole('button', { name: /^Select: / });
  await all.nth(3).click({ modifiers: ['Shift'] });
  await expect.element(page.getByText('3 selected')).toBeVisible();
  await userEvent.keyboard('{ArrowRight}{Enter}');
  await expect.element(page.getByText('4 selected')).toBeVisible();
  await userEvent.keyboard('{Delete}');
  await expect.element(heading('Gallery 2')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.element(heading('Gallery 6')).toBeVisible();
  expect(await host.galleryIds({ deleted: true })).toEqual([]);
});

test('what was deleted is in the bin for a day, from where it is restored or deleted for good', async () => {
  const host = await openStored(5, '#/gallery');
  await page.getByRole('button', { name: 'Select', exact: true }).click();
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect.element(page.getByText('Your images appear here.')).toBeVisible();
  await page.getByRole('button', { name: 'Recently deleted' }).click();
  await expect.element(heading('Recently deleted 5')).toBeVisible();
  await page
    .getByRole('button', { name: /^Select: / })
    .nth(0)
    .click();
  await page.getByRole('button', { name: 'Restore' }).click();
  await expect.element(heading('Recently deleted 4')).toBeVisible();
  await page.getByRole('button', { name: 'Empty the bin' }).click();
  await page.getByRole('button', { name: 'Delete for good' }).click();
  await expect.element(page.getByText('Nothing was deleted in the last 24 hours.')).toBeVisible();
  await page.getByRole('button', { name: 'Back to the gallery' }).click();
  await expect.element(heading('Gallery 1')).toBeVisible();
  expect(await host.galleryIds({ deleted: true })).toEqual([]);
});

test('prompts are searched in storage, with favorites, mode and order', async () => {
  await openStored(130, '#/gallery');
  await search.fill('IMAGE 12');
  await expect.element(heading('Gallery 12')).toBeVisible();
  await expect.element(images.first()).toHaveAccessibleName('View large: image 12, seed 12');
  await page.getByRole('combobox', { name: 'Order' }).selectOptions('Oldest first');
  await expect.element(images.first()).toHaveAccessibleName('View large: image 129, seed 129');
  await images.first().click();
  await userEvent.keyboard('f');
  await expect
    .element(page.getByRole('button', { name: 'Favorite', exact: true }))
    .toHaveAttribute('aria-pressed', 'true');
  await userEvent.keyboard('{ArrowRight}');
  await expect.element(page.getByRole('dialog')).toHaveAccessibleName('Image: image 128');
  await userEvent.keyboard('{Escape}');
  await search.fill('');
  await page.getByRole('button', { name: 'Favorites' }).click();
  await expect.element(heading('Gallery 1')).toBeVisible();
  await page.getByRole('combobox', { name: 'Mode', exact: true }).selectOptions('Upscaled');
  await expect.element(page.getByText('No image matches this search.')).toBeVisible();
  await page.getByRole('button', { name: 'Clear the search' }).click();
  await expect.element(heading('Gallery 130')).toBeVisible();
});

test('images are downloaded as one ZIP file under names of their own', async () => {
  await openStored(70, '#/gallery');
  const downloads = catchDownloads();
  try {
    await page.getByRole('button', { name: 'Download all as ZIP' }).click();
    await expect.element(page.getByText('70 images packed into a ZIP file.')).toBeVisible();
    const [file, ...others] = downloads.files;
    expect(others).toEqual([]);
    expect(file?.name).toMatch(/^vitrine-\d{4}-\d\d-\d\d\.zip$/);
    const entries = unzipSync(new Uint8Array((await (await file?.blob)?.arrayBuffer()) ?? []));
    expect(Object.keys(entries)).toHaveLength(70);
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(entries['image-69-69.png'] ?? [])]));
    expect(bitmap.width).toBe(64);
  } finally {
    downloads.stop();
  }
});

test('two images are compared', async () => {
  await openStored(3, '#/gallery');
  await images.nth(0).click({ modifiers: ['Control'] });
  await page.getByRole('button', { name: /^Select: image 2/ }).click();
  await page.getByRole('button', { name: 'Compare' }).click();
  const dialog = page.getByRole('dialog', { name: 'Compare two images' });
  await expect.element(dialog.getByRole('img', { name: 'Left: image 0' })).toBeInTheDocument();
  await expect.element(dialog.getByRole('img', { name: 'Right: image 2' })).toBeInTheDocument();
  const { violations } = await axe.run(dialog.element());
  expect(violations.map(({ id }) => id)).toEqual([]);
  await dialog.getByRole('button', { name: 'Swap' }).click();
  await expect.element(dialog.getByRole('img', { name: 'Left: image 2' })).toBeInTheDocument();
});

test('an image has an address: Back closes it, and it opens from anywhere', async () => {
  await openStored(130, '#/gallery');
  await images.nth(2).click();
  await expect.element(page.getByRole('dialog')).toHaveAccessibleName('Image: image 2');
  expect(location.hash).toBe('#/image/job-2%2F0');
  await userEvent.keyboard('{ArrowRight}');
  await expect.poll(() => location.hash).toBe('#/image/job-3%2F0');
  history.back();
  await expect.element(page.getByRole('dialog')).not.toBeInTheDocument();
  await expect.poll(() => location.hash).toBe('#/gallery');

  // One that no page read so far has.
  location.hash = '#/image/job-120%2F0';
  await expect.element(page.getByRole('dialog')).toHaveAccessibleName('Image: image 120');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await expect.poll(() => location.hash).toBe('#/gallery');
  location.hash = '#/image/unknown%2F0';
  await expect.element(page.getByText(/This image is not here/)).toBeVisible();
});

test('the viewer zooms to 100 %, and a swipe turns it', async () => {
  await openStored(3, '#/gallery');
  await images.nth(0).click();
  const dialog = page.getByRole('dialog');
  const image = dialog.getByRole('img', { name: 'image 0' });
  await dialog.getByRole('button', { name: '100 %' }).click();
  await expect.poll(() => image.element().getBoundingClientRect().width).toBe(64 / devicePixelRatio);
  await userEvent.keyboard('1');
  await expect.poll(() => image.element().getBoundingClientRect().width).toBeGreaterThan(200);
  const swipe = (from: number, to: number) => {
    const target = dialog.getByRole('img').element();
    const common = { pointerId: 7, pointerType: 'touch', isPrimary: true, bubbles: true, clientY: 200 };
    target.dispatchEvent(new PointerEvent('pointerdown', { ...common, clientX: from }));
    target.dispatchEvent(new PointerEvent('pointerup', { ...common, clientX: to }));
  };
  swipe(300, 200);
  await expect.element(dialog).toHaveAccessibleName('Image: image 1');
  swipe(200, 300);
  await expect.element(dialog).toHaveAccessibleName('Image: image 0');
});

test('an image that is dragged out has its file and its name', async () => {
  await openStored(1, '#/gallery');
  await expect.element(images.first()).toBeVisible();
  const dataTransfer = new DataTransfer();
  images
    .first()
    .element()
    .dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true }));
  const [, type, name, url = ''] = /^([^:]+):([^:]+):(.+)$/.exec(dataTransfer.getData('DownloadURL')) ?? [];
  expect([type, name]).toEqual(['image/png', 'image-0-0.png']);
  expect((await (await fetch(url)).blob()).type).toBe('image/png');
});
