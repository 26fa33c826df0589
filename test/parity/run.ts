/**
 * `npm run parity -- DIR`: runs every reference file found in DIR against the engine, in Node, and prints a
 * line for each case. Ends with 1 if any case fails.
 */
import { existsSync } from 'node:fs';
import { cases as images } from './images/index.ts';
import { cases as kDiffusion } from './k-diffusion.ts';
import { cases as loras } from './lora.ts';
import { cases as models } from './models.ts';
import { cases as pipelines } from './pipelines.ts';
import { cases as rng } from './rng.ts';
import { cases as schedulers } from './schedulers.ts';
import { cases as tokens } from './tokens.ts';
import type { ParitySuite } from './case.ts';

const suites: readonly ParitySuite[] = [
  rng,
  tokens,
  schedulers,
  kDiffusion,
  models,
  loras,
  pipelines,
  images,
];

const folder = process.argv[2];
if (folder === undefined || !existsSync(folder)) {
  console.error('Usage: npm run parity -- DIR   (a folder with reference files; test/fixtures is one)');
  process.exit(2);
}

const counts = { ok: 0, FAIL: 0, 'not supported': 0 };
for (const suite of suites) {
  for await (const { name, error, tolerance, supported, note } of suite(folder)) {
    const verdict = !supported ? 'not supported' : error <= tolerance ? 'ok' : 'FAIL';
    counts[verdict] += 1;
    const numbers = supported ? `error ${error.toExponential(2)} of ${tolerance.toExponential(0)}` : '';
    console.log([verdict.padEnd(13), name.padEnd(70), numbers, note ?? ''].join(' ').trimEnd());
  }
}
console.log(
  Object.entries(counts)
    .map(([verdict, count]) => `${count} ${verdict}`)
    .join(', '),
);
// The wasm module's threads would keep Node alive.
process.exit(counts.FAIL > 0 ? 1 : 0);
