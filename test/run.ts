/**
 * `npm test`: everything CI runs, with one closing line that counts the tests. A failing step
 * does not hide the next; the exit code tells.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureChromium } from './support/chromium.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const reports = mkdtempSync(path.join(tmpdir(), 'vitrine-test-'));
const counts: Counts = { passed: 0, failed: 0, skipped: 0 };

async function run(command: string, environment: NodeJS.ProcessEnv = {}): Promise<boolean> {
  console.log(`\n— ${command}`);
  const started = Date.now();
  const child = spawn(command, { shell: true, stdio: 'inherit', env: { ...process.env, ...environment } });
  const [status] = (await once(child, 'close')) as [number | null];
  const verdict = status === 0 ? 'ok' : 'FAILED';
  console.log(`— ${verdict} after ${Math.round((Date.now() - started) / 1000)} s: ${command}`);
  return status === 0;
}

function add(more: Counts): void {
  counts.passed += more.passed;
  counts.failed += more.failed;
  counts.skipped += more.skipped;
}

/** A step that is one check: it passes or fails as a whole. */
async function check(command: string): Promise<void> {
  add((await run(command)) ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
}

/** A runner that counts its own tests in a JSON report. Without a report it counts as one failure. */
async function suite(
  command: string,
  read: (report: unknown) => Counts,
  file: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  const ok = await run(command, environment);
  try {
    const found = read(JSON.parse(readFileSync(path.join(reports, file), 'utf8')));
    add(ok || found.failed > 0 ? found : { ...found, failed: 1 });
  } catch {
    add({ passed: 0, failed: 1, skipped: 0 });
  }
}

function vitestSuite(project: string, flags = ''): Promise<void> {
  const file = `${project}.json`;
  const command = `npx vitest run --project ${project} ${flags} --reporter=default --reporter=json --outputFile.json=${path.join(reports, file)}`;
  return suite(command, readVitest, file);
}

function numberIn(report: unknown, ...keys: string[]): number {
  let value = report;
  for (const key of keys) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }
  return typeof value === 'number' ? value : 0;
}

function readVitest(report: unknown): Counts {
  return {
    passed: numberIn(report, 'numPassedTests'),
    failed: numberIn(report, 'numFailedTests'),
    skipped: numberIn(report, 'numPendingTests') + numberIn(report, 'numTodoTests'),
  };
}

function readPlaywright(report: unknown): Counts {
  return {
    passed: numberIn(report, 'stats', 'expected') + numberIn(report, 'stats', 'flaky'),
    failed: numberIn(report, 'stats', 'unexpected'),
    skipped: numberIn(report, 'stats', 'skipped'),
  };
}

async function checkSources(): Promise<void> {
  await check('npm run --silent lint');
  await check('npm run --silent check');
}

process.env['CHROME_PATH'] = ensureChromium();
// By itself Vitest leaves one of two cores idle.
await vitestSuite('unit', '--maxWorkers=2');
await check('npm run --silent parity -- test/fixtures');
await check('npm run --silent build');
await check('npm run --silent size');
// A software GPU compiles shaders on one core.
await Promise.all([vitestSuite('browser'), checkSources()]);
await suite('npm run --silent test:e2e', readPlaywright, 'e2e.json', {
  PLAYWRIGHT_JSON_OUTPUT_NAME: path.join(reports, 'e2e.json'),
});
rmSync(reports, { recursive: true });

console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 ? 1 : 0);
