import { defineConfig } from '@playwright/test';
import { LAUNCH_ARGUMENTS, locateChromium } from '../support/chromium.ts';

const chromium = locateChromium();

export default defineConfig({
  testDir: '.',
  outputDir: '../../test-results',
  // The engine takes what a test machine has: two at a time are not faster.
  workers: 1,
  timeout: 180_000,
  expect: { timeout: 30_000 },
  forbidOnly: process.env['CI'] !== undefined,
  // Machines of CI are noisy, and a browser's own time limits do not wait for them.
  retries: process.env['CI'] === undefined ? 0 : 1,
  // The JSON report is for test/run.ts, which counts by it.
  reporter: process.env['PLAYWRIGHT_JSON_OUTPUT_NAME'] === undefined ? 'list' : [['list'], ['json']],
  use: {
    browserName: 'chromium',
    launchOptions: {
      args: [...LAUNCH_ARGUMENTS],
      ...(chromium !== undefined && { executablePath: chromium }),
    },
  },
});
