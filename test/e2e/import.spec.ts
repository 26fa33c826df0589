import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { serveHub } from '../support/hub-server.ts';
import { pngOf } from '../support/images.ts';
import { tinyCheckpoint, tinyControlNetFile } from '../support/tiny-checkpoint.ts';
import { expect, openApp, setSteps, test } from './app.ts';

const NAME = 'tiny-watercolours';
const ARRIVAL = { timeout: 120_000 };

/** An SD 1 checkpoint on the disk, small but whole. */
async function writeCheckpoint(path: string): Promise<string> {
  writeFileSync(path, Buffer.from(await (await tinyCheckpoint()).arrayBuffer()));
  return path;
}

const sheet = (page: Page, name = NAME) => page.getByRole('dialog', { name });
const card = (page: Page, name = NAME) => page.getByRole('article', { name });

for (const storage of ['Exact', 'Smaller (8-bit)'] as const) {
  test(`a checkpoint from the disk, ${storage}: told, imported, kept, removed`, async ({
    page,
    server,
  }, testInfo) => {
    const path = await writeCheckpoint(testInfo.outputPath(`${NAME}.safetensors`));
    await openApp(page, `${server.origin}/#/models`);
    await page.locator('input[type=file]').first().setInputFiles(path);

    await expect(sheet(page)).toContainText('SD 1 checkpoint, float16');
    await expect(sheet(page).getByRole('radio', { name: /^Exact/ })).toBeChecked();
    const option = sheet(page).getByText(storage).locator('..');
    const [size = ''] = /\d+ MB(?= on disk)/.exec((await option.textContent()) ?? '') ?? [];
    expect(size).toMatch(/MB/);
    await option.click();
    await sheet(page).getByRole('button', { name: 'Import' }).click();

    const use = card(page).getByRole('button', { name: `Use ${NAME}` });
    await expect(use).toBeVisible(ARRIVAL);
    await use.click();
    await expect(card(page)).toContainText('In use');
    await expect(card(page)).toContainText(new RegExp(`Size\\s*${size}`));

    await page.getByRole('link', { name: 'Create', exact: true }).click();
    await page.getByText('Advanced').click();
    await expect(page.getByRole('spinbutton', { name: 'Steps' })).toHaveValue('25');
    await expect(page.getByRole('radio', { name: '512 × 512' })).toBeChecked();

    await page.goto(`${server.origin}/#/models`);
    await page.reload();
    await expect(card(page)).toContainText('In use');
    await card(page).getByRole('button', { name: 'Remove' }).click();
    await card(page).getByRole('button', { name: 'Remove' }).click();
    await expect(card(page)).toHaveCount(0);
  });
}

test('a checkpoint and a ControlNet from the disk generate by an image, and the generating tells of it', async ({
  page,
  server,
}, testInfo) => {
  // A whole SD 1 pass at its own size, on a CPU.
  test.setTimeout(600_000);
  const edges = testInfo.outputPath('tiny-canny.safetensors');
  writeFileSync(edges, Buffer.from(await (await tinyControlNetFile()).arrayBuffer()));
  const square = testInfo.outputPath('square.png');
  const drawn = pngOf(64, 64, (x, y) => (x > 16 && x < 48 && y > 16 && y < 48 ? [0, 0, 0] : [255, 255, 255]));
  writeFileSync(square, Buffer.from(await drawn.arrayBuffer()));
  const checkpoint = await writeCheckpoint(testInfo.outputPath(`${NAME}.safetensors`));

  await openApp(page, `${server.origin}/#/models`);
  await page.locator('input[type=file]').first().setInputFiles([checkpoint, edges]);
  await sheet(page).getByRole('button', { name: 'Import' }).click();
  await expect(sheet(page, 'tiny-canny')).toContainText('ControlNet');
  await sheet(page, 'tiny-canny').getByRole('button', { name: 'Import' }).click();
  await expect(card(page, 'tiny-canny')).toContainText('Control image', ARRIVAL);
  await card(page)
    .getByRole('button', { name: `Use ${NAME}` })
    .click(ARRIVAL);

  await page.getByRole('link', { name: 'Create', exact: true }).click();
  await page.getByLabel('Control image file').setInputFiles(square);
  const control = page.getByRole('group', { name: 'Control image 1' });
  await control.getByText('Control image 1').click();
  await expect(control.getByRole('combobox', { name: 'ControlNet' })).toHaveValue('tiny-canny');
  await expect(control.getByRole('radio', { name: 'Canny edges' })).toBeChecked();
  const prompt = 'a square window';
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  await setSteps(page, 1);
  await page.getByRole('button', { name: /^Generate/ }).click();
  const generating = page.getByRole('button', { name: `View large: ${prompt}` }).first();
  await expect(generating).toBeVisible({ timeout: 400_000 });
  await generating.click();
  const viewer = page.getByRole('dialog', { name: `Image: ${prompt}` });
  await expect(viewer).toContainText('ControlNet 0: "Module: canny, Model: tiny-canny [');
  await viewer.getByRole('button', { name: 'Use settings' }).click();
  await expect(control.getByRole('img', { name: 'Control image 1' })).toBeVisible();
  await control.getByRole('button', { name: 'Remove Control image 1' }).click();
  await expect(control).toHaveCount(0);
});

test('an import from the disk that a reload cut goes on when the same file is chosen again', async ({
  page,
  server,
}, testInfo) => {
  const path = await writeCheckpoint(testInfo.outputPath(`${NAME}.safetensors`));
  await openApp(page, `${server.origin}/#/models`);
  await page.locator('input[type=file]').first().setInputFiles(path);
  await sheet(page).getByRole('button', { name: 'Import' }).click();
  await expect(card(page).getByRole('progressbar')).toBeVisible();
  await page.reload();

  await expect(card(page)).toContainText(`Drop ${NAME} here again`);
  await card(page).locator('input[type=file]').setInputFiles(path);
  await sheet(page).getByRole('button', { name: 'Import' }).click();
  await expect(card(page).getByRole('button', { name: `Use ${NAME}` })).toBeVisible(ARRIVAL);
  await expect(card(page)).toHaveCount(1);
});

test('a model from an address: why it is not reached, and cut in the middle, it resumes where it stopped', async ({
  page,
  server,
}) => {
  const file = `${NAME}.safetensors`;
  const bytes = new Uint8Array(await (await tinyCheckpoint({ vocabulary: 1000 })).arrayBuffer());
  const hub = await serveHub({ 'acme/models': { files: { [file]: bytes } } });
  try {
    await openApp(page, `${server.origin}/#/models`);
    const look = async (address: string) => {
      await page.getByLabel('Or a Hugging Face address').fill(address);
      await page.getByRole('button', { name: 'Look' }).click();
    };
    const reason = page.getByRole('dialog').getByRole('alert');
    const close = page.getByRole('dialog').getByRole('button', { name: 'Close' });
    const again = page.getByRole('dialog').getByRole('button', { name: 'Try again' });

    const other = createServer((_, response) => response.end('weights')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await look(`http://127.0.0.1:${port}/${file}`);
    await expect(reason).toContainText(`is there, but does not let other sites read ${file} (CORS)`);
    other.closeAllConnections();
    other.close();
    await again.click();
    await expect(reason).toContainText(`Nothing answers at 127.0.0.1:${port}`);
    await close.click();
    await page.context().setOffline(true);
    await look(`https://models.invalid/${file}`);
    await expect(reason).toContainText('This device is offline');
    await page.context().setOffline(false);
    await again.click();
    await expect(reason).toContainText('Nothing answers at models.invalid: the name may be misspelled');
    await close.click();

    await look(`${hub.origin}/cdn/acme/models/-/-/${file}`);
    await expect(sheet(page)).toContainText(/Download\s*19 MB/);

    hub.cutOnce(file, 12_000_000);
    await sheet(page).getByRole('button', { name: 'Import' }).click();
    await card(page)
      .getByRole('button', { name: /^Resume: .* to go$/ })
      .click(ARRIVAL);
    await expect(card(page).getByRole('button', { name: `Use ${NAME}` })).toBeVisible(ARRIVAL);
    const ranges = hub.requests.map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
    expect(Math.max(...ranges)).toBeGreaterThan(4_000_000);
  } finally {
    await hub.close();
  }
});

test('files dropped on any panel are told of one by one; a pickle is refused with the reason', async ({
  app,
}) => {
  await app.evaluate(() => {
    const dataTransfer = new DataTransfer();
    for (const name of ['old.ckpt', 'notes.gguf'])
      dataTransfer.items.add(new File(['\u0080\u0002pickle'], name));
    const init = { bubbles: true, cancelable: true, dataTransfer };
    document.body.dispatchEvent(new DragEvent('drop', init));
  });
  await expect(app).toHaveURL(/#\/models$/);
  const pickle = app.getByRole('dialog', { name: 'old' });
  await expect(pickle.getByRole('alert')).toContainText('pickle');
  await expect(pickle.getByRole('button', { name: 'Import' })).toHaveCount(0);
  await pickle.getByRole('button', { name: 'Close' }).click();
  await expect(app.getByRole('dialog', { name: 'notes' }).getByRole('alert')).toContainText('GGUF');
});
