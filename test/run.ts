/**
 * `npm test`: everything CI runs, cheapest first, with one closing line that counts the tests. A failing step
 * does not hide the next; the exit code tells.
 */
import { spawnSync } from 'node:child_process';
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

function run(command: string, environment: NodeJS.ProcessEnv = {}): boolean {
  console.log(`\n— ${command}`);
  const started = Date.now();
  const { status } = spawnSync(command, {
    shell: true,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  console.log(`— ${status === 0 ? 'ok' : 'FAILED'} after ${Math.round((Date.now() - started) / 1000)} s`);
  return status === 0;
}

function add(more: Counts): void {
  counts.passed += more.passed;
  counts.failed += more.failed;
  counts.skipped += more.skipped;
}

/** A step that is one check: it passes or fails as a whole. */
function check(command: string): void {
  add(run(command) ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
}

/** A runner that counts its own tests in a JSON report. Without a report it counts as one failure. */
function suite(
  command: string,
  read: (report: unknown) => Counts,
  file: string,
  environment: NodeJS.ProcessEnv = {},
) {
  const ok = run(command, environment);
  try {
    const found = read(JSON.parse(readFileSync(path.join(reports, file), 'utf8')));
    add(ok || found.failed > 0 ? found : { ...found, failed: 1 });
  } catch {
    add({ passed: 0, failed: 1, skipped: 0 });
  }
}

function vitestSuite(project: string): void {
  const file = `${project}.json`;
  const command = `npx vitest run --project ${project} --reporter=default --reporter=json --outputFile.json=${path.join(reports, file)}`;
  suite(command, readVitest, file);
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

process.env['CHROME_PATH'] = ensureChromium();
check('npm run --silent lint');
check('npm run --silent check');
vitestSuite('unit');
check('npm run --silent parity -- test/fixtures');
check('npm run --silent build');
check('npm run --silent size');
vitestSuite('browser');
suite('npm run --silent test:e2e', readPlaywright, 'e2e.json', {
  PLAYWRIGHT_JSON_OUTPUT_NAME: path.join(reports, 'e2e.json'),
});
rmSync(reports, { recursive: true });

console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 ? 1 : 0);
