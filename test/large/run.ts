/**
 * `npm run test:large`: a Stable Diffusion 1.5 checkpoint of full size (2.1 GB, float16, random weights) through the app's
 * own library and engine in Chromium: imported as it is, in int8 and in int4; then one step of its UNet on the wasm
 * provider, held against ONNX Runtime in another process on the same graph and the stored bytes.
 *
 * Arguments: `--storage exact,int8,int4`, `--sides 16,64` (cells; the first is compared), `--native <module>` to compare
 * with an onnxruntime-node, too.
 */
import { execFileSync } from 'node:child_process';
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium, type Page } from '@playwright/test';
import { createServer, type Plugin } from 'vite';
import type { WeightStorage } from '#protocol/import.ts';
import type { AnyPack } from '#protocol/model.ts';
import { findChromium, LAUNCH_ARGUMENTS } from '../support/chromium.ts';
import { relativeError } from '../support/relative-error.ts';
import { makeCheckpoint } from './make-checkpoint.ts';
import type { LargePage } from './page.ts';
import { peakWhile, residentBytes } from '../support/processes.ts';

declare global {
  interface Window {
    large: LargePage;
  }
}

/** How far the step's numbers may be from the reference's: rounding, in another order of sums. */
const TOLERANCE = 1e-3;

const { values } = parseArgs({
  options: {
    storage: { type: 'string', default: 'exact,int8,int4' },
    sides: { type: 'string', default: '16,64' },
    native: { type: 'string' },
  },
});
const storages = values.storage.split(',') as WeightStorage[];
const sides = values.sides.split(',').map(Number);

const folder = mkdtempSync(path.join(tmpdir(), 'vitrine-large-'));
const profile = path.join(folder, 'profile');
const checkpoint = path.join(folder, 'sd15-random.safetensors');

const megabytes = (bytes: number) => Math.round(bytes / 1e6);
const seconds = (value: number) => Number(value.toFixed(1));

/** Takes files that the page hands over. */
const saving: Plugin = {
  name: 'saving',
  configureServer(server) {
    server.middlewares.use('/saved/', (request, response) => {
      const target = path.join(folder, 'saved', path.normalize(request.url ?? ''));
      mkdirSync(path.dirname(target), { recursive: true });
      void pipeline(request, createWriteStream(target)).then(() => response.end());
    });
  },
};

/** The step in a process of its own; see reference.ts. */
function referenceStep(weights: string, side: number, native: string | undefined): Float32Array {
  const saved = path.join(folder, 'saved');
  const program = fileURLToPath(new URL('./reference.ts', import.meta.url));
  const args = ['--import', 'tsx', program, saved, weights, String(side), ...(native ? [native] : [])];
  execFileSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'ignore'] });
  return new Float32Array(new Uint8Array(readFileSync(path.join(saved, 'output.f32'))).buffer);
}

/** The file of a pack that the UNet's weights are in. */
function weightsOf(pack: AnyPack): string {
  const file = pack.files.find(({ path: name }) => /^(?:checkpoint|unet\/.*)\.safetensors$/.test(name));
  if (!file) throw new Error('The pack has no UNet.');
  return file.path;
}

/** Watches what the page holds, as far as the browser gets round to telling. */
async function peakHeap<T>(page: Page, work: () => Promise<T>): Promise<{ result: T; heap: number }> {
  let heap = 0;
  const ended = new AbortController();
  const watching = (async () => {
    while (!ended.signal.aborted)
      heap = Math.max(heap, await page.evaluate(() => window.large.measureMemory()));
  })();
  const result = await work();
  ended.abort();
  await watching;
  return { result, heap };
}

async function testStorage(page: Page, storage: WeightStorage): Promise<{ error: number }> {
  const resident = () => residentBytes(profile);
  const before = resident();
  const imported = await peakWhile(resident, () =>
    peakHeap(page, () => page.evaluate((kept) => window.large.import(kept), storage)),
  );
  const { pack, offered, seconds: importSeconds } = imported.result.result;
  const stored = pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  console.log(
    JSON.stringify({
      storage,
      importSeconds: seconds(importSeconds),
      megabytesStored: megabytes(stored),
      megabytesOffered: megabytes(offered),
      megabytesResidentBefore: megabytes(before),
      megabytesResidentPeak: megabytes(imported.peak),
      megabytesHeapPeak: megabytes(imported.result.heap),
    }),
  );

  const loaded = await peakWhile(resident, () => page.evaluate((kept) => window.large.load(kept), pack));
  console.log(
    JSON.stringify({
      storage,
      loadSeconds: seconds(loaded.result.seconds),
      megabytesResidentPeak: megabytes(loaded.peak),
      megabytesHeap: megabytes(await page.evaluate(() => window.large.measureMemory())),
    }),
  );
  let output = new Float32Array();
  for (const [index, side] of sides.entries()) {
    const step = await peakWhile(resident, () => page.evaluate((cells) => window.large.step(cells), side));
    if (index === 0) output = Float32Array.from(step.result.output);
    console.log(
      JSON.stringify({
        storage,
        step: `${side}×${side}`,
        seconds: seconds(step.result.seconds),
        megabytesResidentPeak: megabytes(step.peak),
        megabytesHeap: megabytes(await page.evaluate(() => window.large.measureMemory())),
      }),
    );
  }
  await page.evaluate(() => window.large.unload());

  const weights = weightsOf(pack);
  await page.evaluate(([kept, name]) => window.large.save(kept, name, name), [pack, weights] as const);
  writeFileSync(path.join(folder, 'saved', 'model.onnx'), Uint8Array.from(loaded.result.model));
  const errors = [undefined, ...(values.native === undefined ? [] : [values.native])].map((native) =>
    relativeError(output, referenceStep(weights, sides[0] ?? 16, native)),
  );
  console.log(JSON.stringify({ storage, errorAgainstWasm: errors[0], errorAgainstNative: errors[1] }));
  await page.evaluate((kept) => window.large.remove(kept), pack);
  rmSync(path.join(folder, 'saved'), { recursive: true });
  return { error: Math.max(...errors) };
}

console.log(
  'A full-size checkpoint is made, imported three times and run: about 20 minutes on two cores, 8 GB of disk and 6 GB of memory.',
);
const start = performance.now();
try {
  await makeCheckpoint(checkpoint, ['unet', 'vae', 'text_encoder']);
  console.log(`A checkpoint of ${megabytes(statSync(checkpoint).size)} MB was made.`);
  const server = await createServer({
    plugins: [saving],
    // A page that loads again because something was found or changed would lose everything.
    server: { port: 0, hmr: false, watch: null },
    optimizeDeps: {
      entries: ['test/large/page.html', 'test/large/step.worker.ts', 'src/library/library.worker.ts'],
    },
    logLevel: 'error',
  });
  await server.listen();
  // Without a profile on disk, IndexedDB would be in memory.
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    args: [...LAUNCH_ARGUMENTS],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(0);
  page.on('pageerror', (error) => console.error(error));
  await page.goto(new URL('test/large/page.html', server.resolvedUrls?.local[0]).href);
  await page.locator('#checkpoint').setInputFiles(checkpoint);
  let worst = 0;
  for (const storage of storages) worst = Math.max(worst, (await testStorage(page, storage)).error);
  await browser.close();
  await server.close();
  const passed = worst <= TOLERANCE;
  console.log(
    `${passed ? '1 passed, 0 failed' : '0 passed, 1 failed'} in ${Math.round((performance.now() - start) / 1000)} s`,
  );
  process.exitCode = passed ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
process.exit();
