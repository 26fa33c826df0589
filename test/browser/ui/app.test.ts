import axe from 'axe-core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import { emojiMini } from '#library/packs/emoji-mini.ts';
import { API_CHANNEL, type ApiBodies, type ApiEvent } from '#protocol/api-event.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import { sumBytes } from '#protocol/model.ts';
import App from '#ui/App.svelte';
import { formatBytes } from '#ui/format.ts';
import { panelNames } from '#ui/panels/names.ts';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, openDemoHost, type DemoHostOptions } from '../../support/demo-host.ts';

const PATIENCE = { timeout: 20_000 };

/** Of the built-in model. */
const size = formatBytes(sumBytes(emojiMini.files));

let status: AppStatus;

async function open(options: DemoHostOptions = {}): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, ...options });
  status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  return host;
}

const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
const images = page.getByRole('button', { name: /^View large: .*, seed/ });

async function generate(text: string): Promise<void> {
  await prompt.fill(text);
  await userEvent.keyboard('{Control>}{Enter}{/Control}');
}

beforeEach(async () => {
  location.hash = '#/create';
  await page.viewport(1280, 900);
});

afterEach(() => localStorage.clear());

test('a prompt and Ctrl+Enter make an image that tells its seed', async () => {
  const host = await open();
  await expect.element(page.getByRole('button', { name: 'Generate' })).toBeEnabled();
  await page.getByRole('textbox', { name: 'Seed' }).fill('18446744073709551615');
  await generate('a red apple');
  await expect.element(images).toBeInTheDocument();
  await expect.element(page.getByText(/seed 18446744073709551615/)).toBeVisible();
  const [record] = await host.jobs();
  expect(record?.job).toMatchObject({
    passes: [
      {
        size: { width: 256, height: 256 },
        guidanceScale: 4,
        sampler: { family: 'k-diffusion', sampler: 'dpmpp_2m', schedule: 'automatic' },
      },
    ],
    output: { metadata: { samplerLabel: 'DPM++ 2M', scheduleLabel: 'Karras' } },
  });
});

test('a batch takes consecutive seeds', async () => {
  const host = await open();
  await page.getByRole('textbox', { name: 'Seed' }).fill('41');
  await page.getByRole('radio', { name: '2 images' }).click({ force: true });
  await generate('two apples');
  await expect
    .poll(async () => (await host.gallery(9)).items.map(({ seed }) => seed), PATIENCE)
    .toEqual(['42', '41']);
});

test('the size of a download is told before it starts, and generating follows it by itself', async () => {
  const host = await open({ installed: false, downloadMs: 40 });
  await expect.element(page.getByRole('button', { name: `Download ${size} and generate` })).toBeVisible();
  await generate('a blue whale');
  await expect.element(page.getByRole('progressbar', { name: 'Download of Emoji Mini' })).toBeVisible();
  await expect.element(page.getByText('It starts when Emoji Mini is installed.')).toBeVisible();
  await expect.element(images).toBeInTheDocument();
  expect((await host.jobs()).length).toBe(1);
});

test('the running job shows its steps and can be stopped; the next one follows', async () => {
  await open({ stepMs: 60 });
  await generate('slow image');
  await generate('waiting image');
  await expect.element(page.getByText(/^Step \d+ of 10/)).toBeVisible();
  await expect
    .element(page.getByRole('button', { name: 'Remove from the queue: waiting image' }))
    .toBeVisible();
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect.element(images).toHaveAccessibleName(/waiting image/);
});

test('the viewer turns pages by keyboard and sends an image back to the form', async () => {
  const host = await open();
  await generate('first');
  await expect.element(images).toBeInTheDocument();
  await generate('second');
  await expect.poll(() => images.elements(), PATIENCE).toHaveLength(2);
  await images.first().click();
  const dialog = page.getByRole('dialog');
  await expect.element(dialog).toHaveAccessibleName('Image: second');
  await userEvent.keyboard('{ArrowRight}');
  await expect.element(dialog).toHaveAccessibleName('Image: first');
  await dialog.getByRole('button', { name: 'Use settings' }).click();
  await expect.element(dialog).not.toBeInTheDocument();
  await expect.element(prompt).toHaveValue('first');
  const first = (await host.gallery(9)).items.at(-1);
  await expect.element(page.getByRole('textbox', { name: 'Seed' })).toHaveValue(first?.seed ?? '');
});

test('a deleted image can be taken back', async () => {
  const host = await open();
  await generate('keep me');
  await images.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect.element(images).not.toBeInTheDocument();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.element(images).toBeInTheDocument();
  expect((await host.gallery(9)).total).toBe(1);
});

test('several deleted images are taken back together, from the viewer where they were deleted', async () => {
  const host = await open();
  for (const [count, text] of ['first', 'second', 'third'].entries()) {
    await generate(text);
    await expect.poll(() => images.elements(), PATIENCE).toHaveLength(count + 1);
  }
  await images.first().click();
  const dialog = page.getByRole('dialog');
  await userEvent.keyboard('{Delete}');
  await expect.element(dialog).toHaveAccessibleName('Image: second');
  await userEvent.keyboard('{Delete}');
  await expect.element(dialog.getByText('2 images deleted.')).toBeVisible();
  await dialog.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => images.elements(), PATIENCE).toHaveLength(3);
  expect((await host.gallery(9)).total).toBe(3);
});

test('a failure says why and offers another attempt', async () => {
  await open();
  await generate('failure');
  await expect.element(page.getByText('There is not enough memory.')).toBeVisible();
  await expect.element(page.getByRole('button', { name: 'Try again' })).toBeVisible();
});

test('a seed beyond 64 bits is refused before anything is queued', async () => {
  const host = await open();
  await page.getByRole('textbox', { name: 'Seed' }).fill('18446744073709551616');
  await generate('a red apple');
  await expect.element(page.getByText(/^Enter a whole number below 2⁶⁴/)).toBeVisible();
  await expect.element(page.getByRole('textbox', { name: 'Seed' })).toHaveFocus();
  expect(await host.jobs()).toEqual([]);
});

test('the sampler picker explains the choice', async () => {
  await open();
  await page.getByText('Advanced').click();
  await expect.element(page.getByText('10 model evaluations · adds no noise on the way')).toBeVisible();
  await page.getByRole('combobox', { name: 'Sampler' }).selectOptions('Euler a');
  await expect.element(page.getByText('10 model evaluations · adds fresh noise on the way')).toBeVisible();
  await expect
    .element(page.getByRole('img', { name: 'Noise level from 14.6 down to 0.030 in 10 steps' }))
    .toBeVisible();
});

test('requests the service worker answers appear as they come, and open', async () => {
  location.hash = '#/api';
  await open();
  const channel = new BroadcastChannel(API_CHANNEL);
  const image = await (await smallImage()).arrayBuffer();
  const base64 = btoa(String.fromCharCode(...new Uint8Array(image)));
  const request = {
    id: '1',
    method: 'POST',
    path: '/sdapi/v1/txt2img',
    dialect: 'a1111',
    at: Date.now(),
    requestBytes: 200,
  };
  const start: ApiEvent = { ...request, phase: 'start' };
  const end: ApiEvent = {
    ...request,
    phase: 'end',
    status: 200,
    answeredBy: null,
    ms: 12,
    responseBytes: 90,
  };
  channel.postMessage(start);
  const row = page.getByRole('button', { name: /POST \/sdapi\/v1\/txt2img/ });
  await expect.element(row).toHaveTextContent(/working .*a1111/);
  channel.postMessage(end);
  await expect.element(row).toHaveTextContent(/200 .* 12 ms · 200 bytes sent, 90 bytes answered/);
  await row.click();
  await expect.element(page.getByText('What was sent and answered is no longer known.')).toBeVisible();
  const bodies: ApiBodies = {
    phase: 'bodies',
    id: '1',
    target: '/sdapi/v1/txt2img',
    requestType: 'application/json',
    request: new Blob(['{"prompt":"it’s red"}']),
    response: new Blob([JSON.stringify({ images: [base64] })], { type: 'application/json' }),
    service: { url: 'http://127.0.0.1:7860/sdapi/v1/txt2img', keyPlace: 'basic' },
  };
  channel.postMessage(bodies);
  await expect.element(page.getByRole('region', { name: 'Sent' })).toHaveTextContent(/"prompt": "it’s red"/);
  const answered = page.getByRole('region', { name: 'Answered' });
  await expect.element(answered.getByRole('img', { name: 'Image 1' })).toBeVisible();
  await expect.element(answered).toHaveTextContent(/characters\)/);
  await expect.element(page.getByRole('button', { name: 'Send again' })).toBeEnabled();
  channel.close();
});

/** A real image, larger than what is read as a text. */
async function smallImage(): Promise<Blob> {
  const canvas = new OffscreenCanvas(64, 64);
  canvas.getContext('2d')?.fillRect(8, 8, 32, 32);
  return canvas.convertToBlob();
}

test('a model is removed only after a second word', async () => {
  location.hash = '#/models';
  const host = await open();
  await page.getByRole('button', { name: 'Remove' }).click();
  await expect.element(page.getByText(`Remove ${size} from this machine?`)).toBeVisible();
  expect((await host.models())[0]?.state.stage).toBe('installed');
  await page.getByRole('button', { name: 'Remove' }).click();
  await expect.element(page.getByRole('button', { name: `Install ${size}` })).toBeVisible();
});

test('the app tells of its surroundings', async () => {
  await open();
  status.online = false;
  status.hostedElsewhere = true;
  const applyUpdate = vi.fn();
  status.applyUpdate = applyUpdate;
  await expect.element(page.getByText('Offline')).toBeVisible();
  await expect.element(page.getByText('Engine in another tab')).toBeVisible();
  await page.getByRole('button', { name: 'Reload' }).click();
  expect(applyUpdate).toHaveBeenCalledOnce();
});

for (const theme of ['light', 'dark']) {
  for (const name of panelNames) {
    test(`axe finds nothing in ${name}, ${theme}`, async () => {
      localStorage.setItem('vitrine.theme', theme);
      location.hash = `#/${name}`;
      await open();
      await expect.element(page.getByRole('heading', { level: 1 })).toBeInTheDocument();
      const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    });
  }
}

test('several waiting jobs are one line, which opens', async () => {
  await open({ stepMs: 200 });
  for (const text of ['running', 'first in line', `second in line ${'with many words '.repeat(12)}`])
    await generate(text);
  const queue = page.getByRole('region', { name: 'Next 2' });
  await expect.element(queue).toHaveTextContent('first in line');
  const remove = queue.getByRole('button', { name: /^Remove from the queue: second/ });
  await expect.element(remove).not.toBeInTheDocument();
  await queue.getByRole('heading').click();
  await expect.element(remove).toBeVisible();
  await page.viewport(360, 640);
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(360);
});

test('on a wide window the gallery is a filmstrip beside the stage, which stays while the strip is scrolled', async () => {
  await page.viewport(1440, 900);
  await open({ stepMs: 1 });
  await page.getByRole('radio', { name: '8 images' }).click({ force: true });
  await generate('a strip');
  await expect.poll(() => images.elements(), PATIENCE).toHaveLength(8);
  const stage = page.getByRole('region', { name: 'Stage' }).element();
  const top = stage.getBoundingClientRect().top;
  const strip = images.elements().map((image) => image.getBoundingClientRect());
  expect(new Set(strip.map(({ left }) => left)).size).toBe(1);
  expect(strip[0]?.left).toBeGreaterThan(stage.getBoundingClientRect().right);
  scrollTo(0, 500);
  await expect.poll(() => images.first().element().getBoundingClientRect().top).toBeLessThan(0);
  expect(stage.getBoundingClientRect().top).toBe(top);
  scrollTo(0, 0);
});

test('nothing reaches beyond the edge of a small phone', async () => {
  await page.viewport(360, 640);
  await open();
  for (const name of panelNames) {
    location.hash = `#/${name}`;
    await expect
      .poll(() => document.querySelector('nav [aria-current]')?.getAttribute('href'), PATIENCE)
      .toBe(`#/${name}`);
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(360);
  }
});
