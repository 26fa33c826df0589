/**
 * `npm run test:clients -- FOLDER [BUILD]`: a program that others wrote for A1111, unchanged, on this app. Serves the built
 * app (`dist/`, or BUILD) with the program's FOLDER under `/client/`, opens both in Chromium, and has the program do all
 * it can. The programs are not part of this project; those that can be driven are in `clients` below.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type Page, type Response } from '@playwright/test';
import { openApp } from '../e2e/app.ts';
import { LAUNCH_ARGUMENTS, findChromium } from '../support/chromium.ts';
import { serveFolder } from '../support/server.ts';
import { a1111Client } from './a1111-client.ts';
import type { Attempt, Client } from './client.ts';
import { koboldLite } from './kobold-lite.ts';
import { openOutpaint } from './open-outpaint.ts';

const clients: readonly Client[] = [openOutpaint, koboldLite, a1111Client];
/** One image on a slow machine that does other things too. */
const TIMEOUT = 120_000;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

const [folder = fail('Name the folder of a client: npm run test:clients -- FOLDER'), build = 'dist'] =
  process.argv.slice(2);
const client =
  clients.find(({ knownBy }) => existsSync(path.join(folder, knownBy))) ??
  fail(
    `No client in ${folder}. Known are ${clients.map(({ name, knownBy }) => `${name} (${knownBy})`).join(', ')}.`,
  );
if (!existsSync(path.join(build, 'index.html')))
  fail(`There is no app in ${build}. Run npm run build first.`);

const site = mkdtempSync(path.join(tmpdir(), 'vitrine-client-'));
for (const name of readdirSync(build)) symlinkSync(path.resolve(build, name), path.join(site, name));
symlinkSync(path.resolve(folder), path.join(site, 'client'));
const server = await serveFolder(site);
server.addPage('/empty.html', '<!doctype html><title>Calls a library</title>');

const browser = await chromium.launch({ executablePath: findChromium(), args: [...LAUNCH_ARGUMENTS] });
const context = await browser.newContext({ viewport: { width: 1600, height: 1200 } });
context.setDefaultTimeout(TIMEOUT);
await openApp(await context.newPage(), server.origin);

const page: Page = await context.newPage();
const refused: Promise<string>[] = [];
page.on('response', note);
page.on('dialog', (dialog) => void dialog.dismiss());

/** Remembers what a client was refused: the reasons belong into the report. */
function note(response: Response): void {
  const { origin, pathname } = new URL(response.url());
  if (origin !== server.origin || response.status() < 400) return;
  const said = response.fromServiceWorker()
    ? response.text().then((text) => text.slice(0, 300))
    : Promise.resolve('no such file');
  refused.push(
    said.then((text) => `${response.request().method()} ${pathname}: ${response.status()} ${text}`),
  );
}

let [passed, failed] = [0, 0];
const attempt: Attempt = async (task, work) => {
  const start = performance.now();
  try {
    await work();
    passed++;
    console.log(`  ok      ${task} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(
      `  FAILED  ${task}\n          ${(error instanceof Error ? error.message : String(error)).split('\n', 1).join('')}`,
    );
  }
  for (const answer of await Promise.all(refused.splice(0))) console.log(`          refused: ${answer}`);
};

console.log(client.name);
await page.goto(`${server.origin}/${client.page === null ? 'empty.html' : `client/${client.page}`}`);
await client.drive(page, `${server.origin}/client/`, attempt);
await browser.close();
await server.close();
rmSync(site, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
