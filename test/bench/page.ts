import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type BrowserContext, type Page } from '@playwright/test';
import { TRACE_PREFIX } from '#protocol/trace.ts';
import { call, openApp, setSteps } from '../e2e/app.ts';
import { LAUNCH_ARGUMENTS, findChromium } from '../support/chromium.ts';
import { cpuSeconds, peakWhile, residentBytesOf } from '../support/processes.ts';
import { serveFolder, type StaticServer } from '../support/server.ts';
import { contestants, type ContestantName } from './floor/contestants.ts';
import type { Floor } from './floor/floor.ts';
import { writeFloor } from './floor/write-floor.ts';
import { median, round } from './statistics.ts';

/* What a person waits for, in the real app in a real browser, over what the same sessions take in a bare worker. */

declare global {
  interface Window {
    floor: Floor;
  }
}

const ROUNDS = 5;
const STEPS = 20;
const REQUEST = { prompt: 'red apple', steps: STEPS, width: 256, height: 256 };

/** Bytes per second of the first visit: 20 Mbit/s. */
const FIRST_VISIT_RATE = 20e6 / 8;

const names = Object.keys(contestants) as ContestantName[];

/** A browser of its own, whose processes can be looked at. */
async function openBrowser(): Promise<{
  context: BrowserContext;
  profile: string;
  close: () => Promise<void>;
}> {
  const profile = mkdtempSync(path.join(tmpdir(), 'vitrine-bench-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    args: [...LAUNCH_ARGUMENTS],
  });
  return {
    context,
    profile,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const fetchImage = (page: Page) =>
  page.evaluate(async (request) => {
    const start = performance.now();
    const response = await fetch('/sdapi/v1/txt2img', { method: 'POST', body: JSON.stringify(request) });
    await response.json();
    return performance.now() - start;
  }, REQUEST);

/** From the click on Generate until the next image is shown. */
function clickImage(page: Page): Promise<number> {
  // No named functions in here: tsx marks them with a helper that pages do not have.
  return page.evaluate(async () => {
    const shown = '[aria-label^="View large"]';
    const before = document.querySelectorAll(shown).length;
    const button = [...document.querySelectorAll('button')].find((each) =>
      each.textContent.trim().startsWith('Generate'),
    );
    if (!button) throw new Error('There is no button to generate.');
    const start = performance.now();
    button.click();
    await new Promise<void>((resolve) => {
      new MutationObserver((_, observer) => {
        if (document.querySelectorAll(shown).length <= before) return;
        observer.disconnect();
        resolve();
      }).observe(document.body, { childList: true, subtree: true });
    });
    return performance.now() - start;
  });
}

/** A further image, all contestants taking turns. */
async function measureFurtherImages(app: Page, floor: Page) {
  const times = new Map<string, number[]>();
  const add = (name: string, value: number) => times.set(name, [...(times.get(name) ?? []), value]);
  for (const name of names) {
    await floor.evaluate((each) => window.floor.open(each), name);
    await floor.evaluate(([each, steps]) => window.floor.image(each, steps), [name, 2] as const);
  }
  await fetchImage(app);
  await app.bringToFront();
  await app.getByLabel('Prompt', { exact: true }).first().fill(REQUEST.prompt);
  await setSteps(app, STEPS);
  for (let turn = 0; turn < ROUNDS; turn++) {
    await app.bringToFront();
    add('click', await clickImage(app));
    add('fetch', await fetchImage(app));
    await floor.bringToFront();
    for (const name of names) {
      add(
        name,
        await floor.evaluate(([each, steps]) => window.floor.image(each, steps), [name, STEPS] as const),
      );
    }
  }
  const of = (name: string) => median(times.get(name) ?? []);
  const [plain, own] = [of('floor of the plain graphs'), of('floor of our own graphs')];
  return Object.fromEntries(
    [...times.keys()].map((name) => [
      name,
      {
        overPlainFloor: round(of(name) / plain),
        overOwnFloor: round(of(name) / own),
        milliseconds: round(of(name), 0),
      },
    ]),
  );
}

/** A part of a start, in milliseconds from the beginning of the navigation. */
interface TraceRow {
  thread: string;
  part: string;
  from: number;
  until: number;
}

/** Where the time of the page's last start went: what its threads have left in their timelines, in order. */
async function readTrace(app: Page): Promise<TraceRow[]> {
  const navigated = await app.evaluate(() => performance.timeOrigin);
  const threads = [
    { name: 'page', evaluate: app.evaluate.bind(app) },
    ...app.workers().map((worker) => ({
      name: path.basename(worker.url()).replace(/[.-].*/, ''),
      evaluate: worker.evaluate.bind(worker),
    })),
  ];
  const rows: TraceRow[] = [];
  for (const { name, evaluate } of threads) {
    const { origin, parts } = await evaluate(
      (prefix: string) => ({
        origin: performance.timeOrigin,
        parts: performance
          .getEntriesByType('measure')
          .filter((entry) => entry.name.startsWith(prefix))
          .map((entry) => ({
            part: entry.name.slice(prefix.length),
            from: entry.startTime,
            until: entry.startTime + entry.duration,
          })),
      }),
      TRACE_PREFIX,
    );
    const begun = origin - navigated;
    if (name !== 'page')
      rows.push({ thread: name, part: 'begin', from: round(begun, 0), until: round(begun, 0) });
    for (const { part, from, until } of parts)
      rows.push({ thread: name, part, from: round(begun + from, 0), until: round(begun + until, 0) });
  }
  return rows.toSorted((a, b) => a.from - b.from);
}

/** From opening the page to the first image; the model is stored, or the graphs are in the browser's cache. */
async function measureStarts(app: Page, floor: Page) {
  const times: Record<'app' | 'plain' | 'own', number[]> = { app: [], plain: [], own: [] };
  let trace: TraceRow[] = [];
  for (let turn = 0; turn < ROUNDS; turn++) {
    await app.bringToFront();
    let start = performance.now();
    await app.reload({ waitUntil: 'commit' });
    await call(app, '/sdapi/v1/txt2img', REQUEST);
    times.app.push(performance.now() - start);
    trace = await readTrace(app);
    await floor.bringToFront();
    for (const [kind, name] of [
      ['plain', 'floor of the plain graphs'],
      ['own', 'floor of our own graphs'],
    ] as const) {
      start = performance.now();
      await floor.reload({ waitUntil: 'commit' });
      await floor.waitForFunction(() => 'floor' in globalThis, undefined, { polling: 10 });
      await floor.evaluate((each) => window.floor.open(each), name);
      await floor.evaluate(([each, steps]) => window.floor.image(each, steps), [name, STEPS] as const);
      times[kind].push(performance.now() - start);
    }
  }
  return {
    overPlainFloor: round(median(times.app) / median(times.plain)),
    overOwnFloor: round(median(times.app) / median(times.own)),
    milliseconds: round(median(times.app), 0),
    plainFloorMilliseconds: round(median(times.plain), 0),
    ownFloorMilliseconds: round(median(times.own), 0),
    trace,
  };
}

/** The first visit at 20 Mbit/s: seconds to the first image, and bytes. */
async function measureFirstVisit(server: StaticServer) {
  const { context, close } = await openBrowser();
  const page = await context.newPage();
  const before = server.requests.length;
  server.limitRate(FIRST_VISIT_RATE);
  const start = performance.now();
  await openApp(page, server.origin);
  await call(page, '/sdapi/v1/txt2img', REQUEST);
  const seconds = (performance.now() - start) / 1000;
  server.limitRate(null);
  const bytes = server.requests.slice(before).reduce((sum, request) => sum + request.bytes, 0);
  await close();
  return { seconds: round(seconds, 1), bytes };
}

/** The app alone in a browser: memory, what the other processes do meanwhile, and the longest task. */
async function measureQuiet(server: StaticServer) {
  const { context, profile, close } = await openBrowser();
  const page = await context.newPage();
  const renderers = () => residentBytesOf(profile, 'renderer');
  const first = await peakWhile(renderers, async () => {
    await openApp(page, server.origin);
    await fetchImage(page);
  });
  await page.evaluate(() => {
    const tasks: number[] = [];
    Object.assign(globalThis, { tasks });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe({ type: 'longtask' });
  });
  await page.getByLabel('Prompt', { exact: true }).first().fill(REQUEST.prompt);
  await setSteps(page, STEPS);
  const gpuBefore = cpuSeconds(profile, 'gpu-process');
  const { result, peak } = await peakWhile(renderers, () => clickImage(page));
  const longest = await page.evaluate(() =>
    Math.max(0, ...(globalThis as unknown as { tasks: number[] }).tasks),
  );
  const report = {
    rendererMegabytes: peaksOf(first.peak, peak),
    gpuProcessMegabytes: round(residentBytesOf(profile, 'gpu-process') / 1e6, 0),
    gpuProcessCpuOfTime: round((cpuSeconds(profile, 'gpu-process') - gpuBefore) / (result / 1000)),
    longestTaskMilliseconds: round(longest, 0),
  };
  await close();
  return report;
}

/** The same memory of a bare page. */
async function measureFloorMemory(server: StaticServer, name: ContestantName) {
  const { context, profile, close } = await openBrowser();
  const page = await context.newPage();
  const renderers = () => residentBytesOf(profile, 'renderer');
  const image = () =>
    page.evaluate(([each, steps]) => window.floor.image(each, steps), [name, STEPS] as const);
  const first = await peakWhile(renderers, async () => {
    await page.goto(server.origin);
    await page.waitForFunction(() => 'floor' in globalThis);
    await page.evaluate((each) => window.floor.open(each), name);
    await image();
  });
  const further = await peakWhile(renderers, image);
  await close();
  return peaksOf(first.peak, further.peak);
}

/** The most bytes held until the first image was there, and during one more. */
const peaksOf = (first: number, further: number) => ({
  untilFirstImage: round(first / 1e6, 0),
  furtherImage: round(further / 1e6, 0),
});

/** All of it. @param dist the built app */
export async function measurePage(dist: string) {
  const floorFolder = mkdtempSync(path.join(tmpdir(), 'vitrine-floor-'));
  await writeFloor(floorFolder);
  const [appServer, floorServer] = await Promise.all([serveFolder(dist), serveFolder(floorFolder)]);
  const { context, close } = await openBrowser();
  const app = await openApp(await context.newPage(), appServer.origin);
  const floor = await context.newPage();
  await floor.goto(floorServer.origin);
  await floor.waitForFunction(() => 'floor' in globalThis);
  const furtherImage = await measureFurtherImages(app, floor);
  const openToFirstImage = await measureStarts(app, floor);
  await close();
  const firstVisit = await measureFirstVisit(appServer);
  const whileGenerating = await measureQuiet(appServer);
  const floorMegabytes: Partial<Record<ContestantName, Awaited<ReturnType<typeof measureFloorMemory>>>> = {};
  for (const name of names) floorMegabytes[name] = await measureFloorMemory(floorServer, name);
  const report = { furtherImage, openToFirstImage, firstVisit, whileGenerating, floorMegabytes };
  await Promise.all([appServer.close(), floorServer.close()]);
  rmSync(floorFolder, { recursive: true, force: true });
  return report;
}
