import axe from 'axe-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from 'vitest-browser-svelte';
import '../../../src/app.css';
import App from '#ui/App.svelte';
import { AppStatus } from '#ui/state/app-status.svelte.ts';
import { connectDemoHost, demoAddOn, demoModel, openDemoHost } from '../../support/demo-host.ts';

async function photo(width: number, height: number, hue: number, text = {}): Promise<File> {
  const canvas = new OffscreenCanvas(width, height);
  const c = canvas.getContext('2d')!;
  const g = c.createLinearGradient(0, 0, 0, height);
  g.addColorStop(0, `hsl(${hue} 70% 75%)`); g.addColorStop(0.6, `hsl(${hue + 30} 60% 85%)`); g.addColorStop(1, `hsl(${hue + 120} 40% 35%)`);
  c.fillStyle = g; c.fillRect(0, 0, width, height);
  c.fillStyle = `hsl(${hue + 200} 70% 50%)`; c.beginPath(); c.arc(width * 0.5, height * 0.55, width * 0.22, 0, 7); c.fill();
  c.fillStyle = '#fff'; c.beginPath(); c.arc(width * 0.42, height * 0.48, width * 0.05, 0, 7); c.fill();
  return new File([await canvas.convertToBlob()], 'harbour at noon.png', { type: 'image/png' });
}
function drop(...files: File[]) {
  const dataTransfer = new DataTransfer();
  for (const f of files) dataTransfer.items.add(f);
  document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
}
async function shot(name: string) {
  await new Promise((r) => setTimeout(r, 250));
  await page.screenshot({ path: `/work/main/node_modules/.cache/ui-shots/${name}.png` });
  const { violations } = await axe.run(document.body, { rules: { region: { enabled: false } } });
  if (violations.length) console.log('AXE', name, JSON.stringify(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))])));
  const over = document.documentElement.scrollWidth - innerWidth;
  if (over > 0) console.log('OVERFLOW', name, over);
}
const sizes = [['d', 1440, 900], ['l', 1280, 720], ['p', 390, 844]] as const;
beforeEach(() => { location.hash = '#/create'; });
afterEach(() => localStorage.clear());
for (const theme of ['dark'])
test(`shots ${theme}`, async () => {
  localStorage.setItem('vitrine.theme', theme);
  const packs = [demoModel, { ...demoModel, id: 'refiner-xl', title: 'refiner-xl' }, demoAddOn('lora', 'ink'), demoAddOn('controlnet', 'canny'), demoAddOn('upscaler', '4x-sharp')];
  const host = await openDemoHost({ stepMs: 1, packs });
  const status = new AppStatus();
  status.host = connectDemoHost(host);
  await page.viewport(1440, 900);
  await render(App, { status });
  await expect.element(page.getByRole('combobox', { name: 'Model' })).toBeVisible();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-first-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('combobox', { name: 'Model' }).selectOptions('watercolours-v2');
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a harbour at noon, watercolour');
  for (let i = 0; i < 3; i++) {
    await page.getByRole('textbox', { name: 'Seed' }).fill(String(4000 * (i + 3) + 999999 * i));
    await page.getByRole('button', { name: /^Generate/ }).click();
    await expect.poll(async () => (await host.gallery(9)).total, { timeout: 20000 }).toBe(i + 1);
  }
  await page.getByRole('button', { name: 'Hires fix' }).click();
  await page.getByRole('button', { name: 'LoRA', exact: true }).click();
  await page.getByRole('button', { name: 'Refiner' }).click();
  await page.getByText('Hires fix', { exact: true }).click();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-text-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('radio', { name: 'Image', exact: true }).click({ force: true });
  await shot(`${theme}-image-empty-d`);
  drop(await photo(768, 512, 200));
  await expect.element(page.getByRole('dialog')).toBeVisible();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-sheet-${s}`); }
  await page.getByRole('button', { name: 'Start from this' }).first().click();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-image-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('radio', { name: 'Edit', exact: true }).click({ force: true });
  const editor = page.getByRole('application', { name: 'Mask editor' });
  await expect.element(editor).toBeVisible();
  const el = editor.element();
  const r = el.getBoundingClientRect();
  const at = (type: string, x: number, y: number) => el.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, pointerType: 'mouse', clientX: r.left + x, clientY: r.top + y, buttons: 1 }));
  el.setPointerCapture = () => undefined;
  at('pointerdown', 400, 200); for (let i = 0; i < 20; i++) at('pointermove', 400 + i * 8, 200 + Math.sin(i / 3) * 40); at('pointerup', 560, 200);
  await page.getByText('Extend the image').click();
  await page.getByRole('spinbutton', { name: 'Right' }).fill('128');
  await page.getByRole('button', { name: 'Show all (0)' }).click();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await page.getByRole('button', { name: 'Show all (0)' }).click(); await shot(`${theme}-edit-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('button', { name: /^Generate/ }).click();
  await expect.poll(async () => (await host.gallery(9)).total, { timeout: 20000 }).toBe(4);
  await expect.element(page.getByRole('button', { name: 'Back to the mask' })).toBeVisible();
  await page.getByRole('button', { name: 'Compare with' }).click();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-result-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('radio', { name: 'Upscale', exact: true }).click({ force: true });
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-upscale-${s}`); }
  await page.viewport(1440, 900);
  await page.getByRole('button', { name: /^View large: .*, seed/ }).first().click();
  for (const [s, w, h] of sizes) { await page.viewport(w, h); await shot(`${theme}-viewer-${s}`); }
}, 90000);
