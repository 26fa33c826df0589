/**
 * `npm run bench [-- BUILD]`: how much the product adds to ONNX Runtime's own time, as JSON. Each figure is a median of at
 * least five runs in one process, and a ratio where it can be: machines differ, ratios less. Makes `dist/`, unless the folder
 * of a build is named.
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium, type Page } from '@playwright/test';
import { build as buildApp } from 'vite';
import { createEngine } from '#engine/engine.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { packs } from '#library/packs/index.ts';
import { call, openApp } from '../e2e/app.ts';
import { parseLora } from '#weights/lora.ts';
import { lowRankFactors, mergeLoras } from '#weights/merge-loras.ts';
import { chooseStorage, quantiseTensors } from '#weights/quantise.ts';
import { sumBytes } from '#protocol/model.ts';
import { LAUNCH_ARGUMENTS, findChromium } from '../support/chromium.ts';
import { buildEmoji, EMOJI_INPUTS, readEmoji } from '../support/emoji-weights.ts';
import { pngOf } from '../support/images.ts';
import { photo } from '../support/init-engine.ts';
import { imageInit, maskedInit } from '../support/inits.ts';
import { textToImage } from '../support/jobs.ts';
import { loraFeeds, randomLora } from '../support/loras.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../support/node-engine.ts';
import { openGraph, type Numbers, type Session } from '../support/onnx-session.ts';
import { pseudoRandom } from '../support/random-weights.ts';
import { relativeError } from '../support/relative-error.ts';
import { serveFolder } from '../support/server.ts';
import { measurePage } from './page.ts';
import { median, round } from './statistics.ts';

const RUNS = 5;
/** Steps alone are short, and differ by more than what they are compared for. */
const STEP_RUNS = 21;
const [build] = process.argv.slice(2);
const DIST = path.resolve(build ?? path.join(import.meta.dirname, '../../dist'));
const pack = packs['emoji-mini'];
/** The image all is measured on: what the model is made for. */
const { width, height } = pack.defaults;
const steps = 20;
const REQUEST = { prompt: 'red apple', steps, width, height, seed: 1 };
/** The same image from the dialect whose job history tells when the engine began and ended. */
const FOOOCUS_REQUEST = {
  prompt: REQUEST.prompt,
  aspect_ratios_selection: '256*256',
  style_selections: [],
  image_seed: REQUEST.seed,
  advanced_params: { overwrite_step: REQUEST.steps },
};
const modelBytes = sumBytes(pack.files);

async function repeat(run: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < RUNS; i++) values.push(await run());
  return median(values);
}

const plain = textToImage({ prompt: REQUEST.prompt, steps, width, height, seeds: [1n] });
const [pass] = plain.passes;
const source = photo(width, height);
/** White in the middle. */
const mask = pngOf(width, height, (x, y) => {
  const white = Math.max(Math.abs(x - width / 2), Math.abs(y - height / 2)) < width / 4;
  return white ? [255, 255, 255] : [0, 0, 0];
});
const fromImage = { ...pass, strength: 0.7 };
/** What {@link measurePipelines} generates. */
const JOBS: Readonly<Record<string, GenerateJob>> = {
  textToImage: plain,
  imageToImage: { ...plain, init: imageInit([source]), passes: [fromImage] },
  inpainting: {
    ...plain,
    init: maskedInit([source], mask, { blur: { x: 4, y: 4 }, overlay: true }),
    passes: [fromImage],
  },
  hiresFix: {
    ...plain,
    passes: [pass, { ...fromImage, size: { width: width * 1.5, height: height * 1.5 }, resizeBy: 'Latent' }],
  },
};

/** The whole of a job over the time inside ONNX Runtime. */
async function measurePipelines() {
  let runtime: Runtime | undefined;
  const engine = createEngine(
    async () => (runtime = await openNodeRuntime()),
    () => readFrom(EMOJI_MINI),
  );
  await engine.start('wasm');
  // The second pass of a hires fix is to be larger than the first.
  const installed = [{ ...pack, sizing: 'exact' as const }];
  const results: Record<string, { ratio: number; milliseconds: number }> = {};
  for (const [name, job] of Object.entries(JOBS)) {
    // Sessions are opened where they are first needed.
    await engine.run(installed, job, () => undefined);
    const wholes: number[] = [];
    const ratio = await repeat(async () => {
      const before = runtime?.runMilliseconds ?? 0;
      const start = performance.now();
      await engine.run(installed, job, () => undefined);
      const whole = performance.now() - start;
      wholes.push(whole);
      return whole / ((runtime?.runMilliseconds ?? 0) - before);
    });
    results[name] = { ratio: round(ratio), milliseconds: round(median(wholes), 0) };
  }
  await engine.unload();
  return results;
}

interface HistoryItem {
  start_mills: number;
  finish_mills: number;
}

/** The same image through `fetch` over the engine's own time for it, as the job's record has it. */
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

/** What the browser says all threads of the page hold, wasm included, over the size of the model. */
async function measureMemory(page: Page) {
  const peak = await page.evaluate(async (request) => {
    // Not in TypeScript's library yet.
    const clock = performance as Performance & {
      measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
    };
    const done = new AbortController();
    const generating = fetch('/sdapi/v1/txt2img', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(request),
    }).then(() => done.abort());
    let highest = 0;
    while (!done.signal.aborted) {
      highest = Math.max(highest, (await clock.measureUserAgentSpecificMemory()).bytes);
    }
    await generating;
    return highest;
  }, REQUEST);
  return { peakBytes: peak, overModelSize: round(peak / modelBytes, 2) };
}

/** One step of two rows, prompt and negative prompt, at the model's own size. */
const STEP: Readonly<Record<string, Numbers>> = {
  ...EMOJI_INPUTS.unet,
  sample: { data: pseudoRandom(2 * 16 * 16 * 16), shape: [2, 16, 16, 16] },
};

/** Medians of a step's milliseconds, sessions taking turns so that what slows the machine slows all; and the numbers. */
async function timeSteps<K extends string>(
  sessions: Readonly<Record<K, Session>>,
): Promise<Record<K, { milliseconds: number; output: Float32Array }>> {
  const results = {} as Record<K, { milliseconds: number; output: Float32Array }>;
  const entries = Object.entries(sessions) as [K, Session][];
  const times = new Map<K, number[]>();
  for (let round = 0; round <= STEP_RUNS; round++) {
    for (const [name, session] of entries) {
      const start = performance.now();
      const { out_sample: output } = await session.run(STEP);
      const milliseconds = performance.now() - start;
      // The first run is the slowest: memory is planned in it.
      if (round > 0) times.set(name, [...(times.get(name) ?? []), milliseconds]);
      results[name] = {
        milliseconds: median(times.get(name) ?? []),
        output: output?.data ?? new Float32Array(),
      };
    }
  }
  for (const [, session] of entries) await session.release();
  return results;
}

/** The UNet as float32, and kept smaller: bytes, the error of a step, and its time over float32's. */
async function measureQuantisation() {
  const exact = await readEmoji('unet', 'float32');
  const sources = {
    float32: exact,
    int8: quantiseTensors(exact, chooseStorage('unet', 8)),
    int4: quantiseTensors(exact, chooseStorage('unet', 4)),
  };
  const open = async (kept: keyof typeof sources) => {
    const graph = buildEmoji('unet', sources[kept]);
    return { bytes: graph.generated?.sizeBytes ?? 0, session: await openGraph(graph, sources[kept], {}) };
  };
  const opened = { float32: await open('float32'), int8: await open('int8'), int4: await open('int4') };
  const steps = await timeSteps({
    float32: opened.float32.session,
    int8: opened.int8.session,
    int4: opened.int4.session,
  });
  const report = (kept: keyof typeof sources) => ({
    bytes: opened[kept].bytes,
    error: Number(relativeError(steps[kept].output, steps.float32.output).toPrecision(2)),
    stepOverFloat32: round(steps[kept].milliseconds / steps.float32.milliseconds),
  });
  return { float32: report('float32'), int8: report('int8'), int4: report('int4') };
}

/**
 * A LoRA of rank 16 in every layer given as inputs: a step's time over that of the plain UNet, and the time to change
 * to it over the time to load the UNet with it merged in.
 */
async function measureLoras() {
  const weights = await readEmoji('unet', 'float32');
  const graph = buildEmoji('unet', weights, { loraInputs: true });
  const model = new Map([['unet', weights]] as const);
  const loras = [
    {
      lora: parseLora(
        randomLora(graph, 1, () => 16),
        'random',
      ),
      strength: 1,
    },
  ];
  const clock = async <T>(work: () => Promise<T>) => {
    const start = performance.now();
    return { result: await work(), milliseconds: performance.now() - start };
  };
  const reading = await clock(async () => loraFeeds(graph, await lowRankFactors(model, 'unet', loras)?.()));
  const merging = await clock(() => {
    const merged = mergeLoras(model, loras).get('unet') ?? weights;
    return openGraph(buildEmoji('unet', merged), merged, {});
  });
  const session = await openGraph(graph, weights, {});
  const { plain, given, none } = await timeSteps({
    plain: merging.result,
    given: { ...session, run: (inputs) => session.run({ ...inputs, ...reading.result }) },
    none: {
      run: (inputs) => session.run({ ...inputs, ...loraFeeds(graph) }),
      release: () => Promise.resolve(),
    },
  });
  return {
    stepOverMerged: round(given.milliseconds / plain.milliseconds),
    stepWithoutOverMerged: round(none.milliseconds / plain.milliseconds),
    changeOverMerging: round(reading.milliseconds / merging.milliseconds, 4),
    error: Number(relativeError(given.output, plain.output).toPrecision(2)),
  };
}

/** Reading the model's files out of IndexedDB, as the engine does. */
async function measureStoredFiles(page: Page) {
  const seconds = await repeat(() =>
    // No named functions in here: tsx marks them with a helper that pages do not have.
    page.evaluate(async () => {
      const opening = indexedDB.open('vitrine-models');
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const start = performance.now();
      const reading = opening.result.transaction('files').objectStore('files').getAll();
      await new Promise((resolve) => (reading.onsuccess = resolve));
      for (const value of reading.result as unknown[]) if (value instanceof Blob) await value.arrayBuffer();
      opening.result.close();
      return (performance.now() - start) / 1000;
    }),
  );
  return { millisecondsPer100Megabytes: round((seconds * 1000) / (modelBytes / 1e8), 0) };
}

function gzipped(file: string): number {
  return gzipSync(readFileSync(path.join(DIST, file))).length;
}

if (build === undefined) await buildApp({ logLevel: 'error' });
const inThePage = await measurePage(DIST);
const pipelines = await measurePipelines();
const quantisation = await measureQuantisation();
const loras = await measureLoras();
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
      ...inThePage,
      pipelineOverSessionRuns: pipelines,
      fetchOverEngine: await measureFetch(page),
      memory: await measureMemory(page),
      quantisation,
      loras,
      storedFiles: await measureStoredFiles(page),
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
