import { expect } from 'vitest';
import { page } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { MaskedInit } from '#protocol/job.ts';
import type { AnyPack } from '#protocol/model.ts';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { drop, imageFile, type PixelAt } from './brought.ts';
import { connectDemoHost, demoModel, openDemoHost } from './demo-host.ts';

/** For what a machine under load takes its time for. */
export const PATIENCE = { timeout: 20_000 };

export const editor = page.getByRole('application', { name: 'Mask editor' });

/** The app with an image of 64 × 48 pixels in the editor. @param packs what is installed besides the demo's model */
export async function openEditor(pixelAt?: PixelAt, packs: readonly AnyPack[] = []): Promise<EngineHost> {
  const host = await openDemoHost({ stepMs: 2, packs: [demoModel, ...packs] });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await render(App, { status });
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  drop(imageFile('street.png', [64, 48], pixelAt));
  await page.getByRole('dialog').getByRole('button', { name: 'Edit' }).click();
  await expect.element(editor).toBeVisible();
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a lamp');
  return host;
}

/** The tinted mask over the image, at pixels: whether they are marked. */
export function markedAt(...points: readonly (readonly [number, number])[]): boolean[] {
  const canvas = editor.element().querySelector('canvas');
  return points.map(([x, y]) => (canvas?.getContext('2d')?.getImageData(x, y, 1, 1).data[3] ?? 0) > 0);
}

/** Generates, and looks at what the only job starts from. */
export async function submitted(host: EngineHost): Promise<MaskedInit> {
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect.poll(async () => (await host.jobs()).length, PATIENCE).toBe(1);
  const job = (await host.jobs())[0]?.job;
  if (job?.task !== 'generate' || job.init.from !== 'masked') throw new Error('A masked job was expected.');
  return job.init;
}
