/**
 * `npm run test:late`: the five-minute rule, on a bare Chromium. A debugger attached to the browser may lift the
 * limit of a fetch event, so no driver is used: the page reports by itself to the server. The engine is made slow
 * honestly, by asking for more steps than five and a half minutes allow.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findChromium, LAUNCH_ARGUMENTS } from '../support/chromium.ts';
import { serveFolder } from '../support/server.ts';

/** Chromium gives up on a fetch event after about this long; the answer must come after it to prove anything. */
const LIMIT_SECONDS = 310;

interface Report {
  status: number;
  secondsToHeaders: number;
  seconds: number;
  leadingBlanks: number;
  images: number;
  error?: string;
}

function page(reportTo: string): string {
  return `<!doctype html><script type="module" src="/host.js"></script><script type="module">
    await navigator.serviceWorker.ready;
    while (!navigator.serviceWorker.controller) await new Promise((r) => setTimeout(r, 100));
    const ask = (steps) => fetch('/sdapi/v1/txt2img', {
      method: 'POST',
      body: JSON.stringify({ prompt: 'red apple', width: 256, height: 256, steps }),
    });
    let report;
    try {
      await (await ask(1)).json();
      // As many steps as fill the time at this machine's pace; again with more if it got faster meanwhile.
      let [steps, seconds] = [20, 0];
      while (seconds <= ${LIMIT_SECONDS}) {
        if (seconds > 0) steps = Math.ceil((steps * (${LIMIT_SECONDS} + 60)) / seconds);
        const start = performance.now();
        const response = await ask(steps);
        const secondsToHeaders = (performance.now() - start) / 1000;
        const text = await response.text();
        seconds = (performance.now() - start) / 1000;
        report = {
          status: response.status, secondsToHeaders, seconds,
          leadingBlanks: text.length - text.trimStart().length, images: JSON.parse(text).images.length,
        };
      }
    } catch (error) {
      report = { error: String(error) };
    }
    await fetch('${reportTo}', { method: 'POST', mode: 'no-cors', body: JSON.stringify(report) });
  </script>`;
}

const { promise: reported, resolve } = (() => {
  let resolve: (report: Report) => void = () => undefined;
  const promise = new Promise<Report>((done) => (resolve = done));
  return { promise, resolve };
})();
const listener = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += String(chunk)));
  request.on('end', () => {
    response.end();
    if (body !== '') resolve(JSON.parse(body) as Report);
  });
});
await new Promise<void>((ready) => listener.listen(0, 'localhost', ready));
const address = listener.address();
const reportTo = `http://localhost:${typeof address === 'object' && address ? address.port : 0}/`;

const server = await serveFolder(path.resolve(import.meta.dirname, '../../dist'), false);
server.addPage('/late.html', page(reportTo));
const profile = mkdtempSync(path.join(tmpdir(), 'vitrine-late-'));
console.log('Waiting for an answer that takes longer than five minutes …');
const browser = spawn(
  findChromium(),
  ['--headless=new', ...LAUNCH_ARGUMENTS, `--user-data-dir=${profile}`, `${server.origin}/late.html`],
  { stdio: 'ignore' },
);
const report = await reported;
browser.kill('SIGKILL');
await server.close();
listener.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });

console.log(JSON.stringify(report, null, 2));
const passed =
  report.error === undefined &&
  report.status === 200 &&
  report.images === 1 &&
  report.leadingBlanks > 0 &&
  report.secondsToHeaders < 250 &&
  report.seconds > LIMIT_SECONDS;
console.log(passed ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exit(passed ? 0 : 1);
