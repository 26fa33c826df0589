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
  /** Of the passed ones, those that failed at first. CI tries each twice. */
  retried: number;
}

const NONE: Counts = { passed: 0, failed: 0, skipped: 0, retried: 0 };

const reports = mkdtempSync(path.join(tmpdir(), 'vitrine-test-'));
const counts: Counts = { ...NONE };

/**
 * Has glibc's allocator keep what is freed, and take it in huge pages. Fresh memory is dear on small virtual machines: the
 * tests that open whole checkpoints take half the time with it. Other systems ignore it.
 */
const KEEP_MEMORY = {
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: '4000000000',
};

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
  counts.retried += more.retried;
}

/** A step that is one check: it passes or fails as a whole. */
async function check(command: string): Promise<void> {
  add({ ...NONE, [(await run(command)) ? 'passed' : 'failed']: 1 });
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
    add({ ...NONE, failed: 1 });
  }
}

function vitestSuite(project: string, flags = ''): Promise<void> {
  const file = `${project}${flags.replaceAll(/\W/g, '-')}.json`;
  const command = `npx vitest run --project ${project} ${flags} --reporter=default --reporter=json --outputFile.json=${path.join(reports, file)}`;
  return suite(command, readVitest, file);
}

/** A test in Vitest's JSON report. */
interface Assertion {
  status: string;
  failureMessages: readonly string[];
}

function numberIn(report: unknown, ...keys: string[]): number {
  let value = report;
  for (const key of keys) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }
  return typeof value === 'number' ? value : 0;
}

/** Vitest keeps the first failure of a test that passed on its second try. */
function countRetried(report: unknown): number {
  const { testResults } = report as { testResults: readonly { assertionResults: readonly Assertion[] }[] };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  return tests.filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0)
    .length;
}

function readVitest(report: unknown): Counts {
  return {
    passed: numberIn(report, 'numPassedTests'),
    failed: numberIn(report, 'numFailedTests'),
    skipped: numberIn(report, 'numPendingTests') + numberIn(report, 'numTodoTests'),
    retried: countRetried(report),
  };
}

function readPlaywright(report: unknown): Counts {
  return {
    passed: numberIn(report, 'stats', 'expected') + numberIn(report, 'stats', 'flaky'),
    failed: numberIn(report, 'stats', 'unexpected'),
    skipped: numberIn(report, 'stats', 'skipped'),
    retried: numberIn(report, 'stats', 'flaky'),
  };
}

async function checkSources(): Promise<void> {
  await check('npm run --silent lint');
  await check('npm run --silent check');
}

process.env['CHROME_PATH'] = ensureChromium();
Object.assign(process.env, KEEP_MEMORY);
await check('npm run --silent parity -- test/fixtures');
await check('npm run --silent build');
await check('npm run --silent size');
// A software GPU compiles shaders on one core: the other one has the sources to check, and half of the unit tests.
await Promise.all([
  vitestSuite('browser'),
  checkSources().then(() => vitestSuite('unit', '--maxWorkers=2 --shard=2/2')),
]);
// An app that is waited for leaves a core to the other half.
await Promise.all([
  suite('npm run --silent test:e2e', readPlaywright, 'e2e.json', {
    PLAYWRIGHT_JSON_OUTPUT_NAME: path.join(reports, 'e2e.json'),
  }),
  vitestSuite('unit', '--maxWorkers=1 --shard=1/2'),
]);
rmSync(reports, { recursive: true });

const { passed, failed, skipped, retried } = counts;
if (retried > 0)
  console.log(`\n${retried} passed only on the second try: see "retry" above, and make them hold.`);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 ? 1 : 0);
