/**
 * `npm run bench`: how much the product adds to ONNX Runtime's own time, as JSON. Each figure is a median of at
 * least five runs in one process, and a ratio where it can be: machines differ, ratios less.
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium, type Page } from '@playwright/test';
import { build } from 'vite';
import { createEngine } from '#engine/engine.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { packs } from '#library/packs/index.ts';
import { call, openApp } from '../e2e/app.ts';
import { LAUNCH_ARGUMENTS, findChromium } from '../support/chromium.ts';
import { textToImage } from '../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../support/node-engine.ts';
import { serveFolder } from '../support/server.ts';

const RUNS = 5;
const DIST = path.resolve(import.meta.dirname, '../../dist');
const REQUEST = { prompt: 'red apple', steps: 10, width: 256, height: 256, seed: 1 };
/** The same picture from the dialect whose job history tells when the engine began and ended. */
const FOOOCUS_REQUEST = {
  prompt: REQUEST.prompt,
  aspect_ratios_selection: '256*256',
  style_selections: [],
  image_seed: REQUEST.seed,
  advanced_params: { overwrite_step: REQUEST.steps },
};
const pack = packs['emoji-mini'];
const modelBytes = pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

async function repeat(run: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < RUNS; i++) values.push(await run());
  return median(values);
}

const round = (value: number, digits = 3) => Number(value.toFixed(digits));

/** (a) The whole of text to image over the time inside ONNX Runtime. */
async function measurePipeline() {
  let runtime: Runtime | undefined;
  const engine = createEngine(
    async () => (runtime = await openNodeRuntime()),
    () => readFrom(EMOJI_MINI),
  );
  await engine.start('wasm');
  await engine.load(pack);
  const job = textToImage({ prompt: REQUEST.prompt, steps: REQUEST.steps, seeds: [1n] });
  const wholes: number[] = [];
  const ratio = await repeat(async () => {
    const before = runtime?.runMilliseconds ?? 0;
    const start = performance.now();
    await engine.run(pack, [], job, () => undefined);
    const whole = performance.now() - start;
    wholes.push(whole);
    return whole / ((runtime?.runMilliseconds ?? 0) - before);
  });
  await engine.unload();
  return { ratio: round(ratio), milliseconds: round(median(wholes), 0) };
}

interface HistoryItem {
  start_mills: number;
  finish_mills: number;
}

/** (b) The same picture through `fetch` over the engine's own time for it, as the job's record has it. */
async function measureFetch(page: Page) {
  const added: number[] = [];
  const ratio = await repeat(async () => {
    const whole = await page.evaluate(async (request) => {
      const start = performance.now();
      const response = await fetch('/v1/generation/text-to-image', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(request),
      });
      await response.json();
      return performance.now() - start;
    }, FOOOCUS_REQUEST);
    const { body } = await call<{ history: HistoryItem[] }>(page, '/v1/generation/job-history');
    const last = body.history.reduce((a, b) => (b.finish_mills > a.finish_mills ? b : a));
    const engine = last.finish_mills - last.start_mills;
    added.push(whole - engine);
    return whole / engine;
  });
  return { ratio: round(ratio), addedMilliseconds: round(median(added), 1) };
}

/** (c) From opening the page to the first picture, the model being in IndexedDB. */
async function measureStart(page: Page) {
  const parts: Record<string, number[]> = { page: [], host: [], firstPicture: [], nextPicture: [] };
  for (let i = 0; i < RUNS; i++) {
    let at = performance.now();
    const lap = (part: string) => {
      parts[part]?.push(performance.now() - at);
      at = performance.now();
    };
    await page.reload();
    lap('page');
    await call(page, '/sdapi/v1/progress');
    lap('host');
    await call(page, '/sdapi/v1/txt2img', REQUEST);
    lap('firstPicture');
    await call(page, '/sdapi/v1/txt2img', REQUEST);
    lap('nextPicture');
  }
  const of = (part: string) => median(parts[part] ?? []);
  return {
    pageMilliseconds: round(of('page'), 0),
    hostMilliseconds: round(of('host'), 0),
    loadModelMilliseconds: round(of('firstPicture') - of('nextPicture'), 0),
    drawMilliseconds: round(of('nextPicture'), 0),
    wholeMilliseconds: round(of('page') + of('host') + of('firstPicture'), 0),
  };
}

/** (d) What the browser says all threads of the page hold, wasm included, over the size of the model. */
async function measureMemory(page: Page) {
  const peak = await page.evaluate(async (request) => {
    // Not in TypeScript's library yet.
    const clock = performance as Performance & {
      measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
    };
    const drawn = new AbortController();
    const drawing = fetch('/sdapi/v1/txt2img', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(request),
    }).then(() => drawn.abort());
    let highest = 0;
    while (!drawn.signal.aborted) {
      highest = Math.max(highest, (await clock.measureUserAgentSpecificMemory()).bytes);
    }
    await drawing;
    return highest;
  }, REQUEST);
  return { peakBytes: peak, overModelSize: round(peak / modelBytes, 2) };
}

function gzipped(file: string): number {
  return gzipSync(readFileSync(path.join(DIST, file))).length;
}

await build({ logLevel: 'error' });
const pipeline = await measurePipeline();
const server = await serveFolder(DIST);
const browser = await chromium.launch({ executablePath: findChromium(), args: [...LAUNCH_ARGUMENTS] });
const page = await (await browser.newContext()).newPage();
await openApp(page, server.origin);
const firstLoad = server.requests.filter(
  ({ path: name }) => !name.startsWith('/models/') && !name.endsWith('.wasm'),
);
const runtimeBytes = () => server.requests.filter(({ path: name }) => name.endsWith('.wasm'));
await call(page, '/sdapi/v1/txt2img', { ...REQUEST, steps: 1 });

console.log(
  JSON.stringify(
    {
      pipelineOverSessionRuns: pipeline,
      fetchOverEngine: await measureFetch(page),
      openToFirstPicture: await measureStart(page),
      memory: await measureMemory(page),
      bytes: {
        firstLoad: firstLoad.reduce((sum, { bytes }) => sum + bytes, 0),
        runtime: runtimeBytes()[0]?.bytes ?? 0,
        model: modelBytes,
        serviceWorker: statSync(path.join(DIST, 'sw.js')).size,
        serviceWorkerGzipped: gzipped('sw.js'),
      },
    },
    null,
    2,
  ),
);
await browser.close();
await server.close();
process.exit(0);
