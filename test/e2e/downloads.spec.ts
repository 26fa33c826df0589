import { expect, openApp, test } from './app.ts';

const UNET = '/models/emoji-mini/unet/model.safetensors';
const CUT_AFTER = 9_000_000;
/** What the download keeps in memory before it writes. */
const PIECE_BYTES = 4 * 1024 * 1024;

test('a download cut in the middle goes on at the byte where it stopped', async ({ page, server }) => {
  server.cutOnce(UNET, CUT_AFTER);
  await openApp(page, `${server.origin}/#/models`);
  await page
    .getByRole('button', { name: /install|download/i })
    .first()
    .click();
  await page
    .getByRole('button', { name: /resume|try again|continue/i })
    .first()
    .click({ timeout: 60_000 });
  await expect(page.getByRole('button', { name: /remove/i })).toBeVisible({ timeout: 60_000 });

  const asked = server.requests.filter(({ path }) => path === UNET);
  expect(asked.map(({ status }) => status)).toEqual([200, 206]);
  // A browser drops what it had not handed over when the connection broke: at most what a piece takes to write.
  const from = Number(/^bytes=(\d+)-$/.exec(asked[1]?.range ?? '')?.[1]);
  expect(from).toBeLessThanOrEqual(CUT_AFTER);
  expect(from).toBeGreaterThan(CUT_AFTER - PIECE_BYTES);
});

test('a file with the wrong hash is named, not kept, and comes right when the server does', async ({
  page,
  server,
}) => {
  server.corrupt(UNET);
  await openApp(page, `${server.origin}/#/models`);
  await page
    .getByRole('button', { name: /install|download/i })
    .first()
    .click();
  // While it downloads the file is named too.
  await expect(page.getByText(/unet\/model\.safetensors is not the expected file/)).toBeVisible({
    timeout: 60_000,
  });
  await expect(page.getByRole('button', { name: /remove/i })).toHaveCount(0);

  server.corrupt(null);
  await page
    .getByRole('button', { name: /^(resume|try again|continue|install)/i })
    .first()
    .click();
  await expect(page.getByRole('button', { name: /remove/i })).toBeVisible({ timeout: 60_000 });
  const asked = server.requests.filter(({ path }) => path === UNET);
  expect(asked.map(({ range }) => range)).toEqual([null, null]);
});
